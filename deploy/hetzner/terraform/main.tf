# One machine, or the API's, the workers' and the database's (docs/deploy-hetzner.md). Never applied to the real cloud yet.
locals {
  roles = var.apart ? merge(
    {
      app      = { type = var.type, address = local.app, services = "migrate api proxy backup ${local.watching}" }
      database = { type = var.database_type, address = "10.10.1.20", services = "" }
    },
    { for number in range(var.workers) : "worker-${number + 1}" => {
      type = var.worker_type, address = "10.10.1.${100 + number}", services = "worker alloy"
    } },
  ) : { one = { type = var.type, address = local.app, services = "" } }
  app      = "10.10.1.10"
  watching = "prometheus alertmanager grafana loki alloy tempo"
  workers  = [for name, each in local.roles : "${each.address}:9464" if startswith(name, "worker-")]
  stores   = var.apart ? "database" : "one"
}

resource "hcloud_ssh_key" "deploy" {
  name       = "${var.name}-deploy"
  public_key = var.ssh_public_key
}

resource "hcloud_network" "inside" {
  name     = var.name
  ip_range = "10.10.0.0/16"
}

resource "hcloud_network_subnet" "inside" {
  network_id   = hcloud_network.inside.id
  type         = "cloud"
  network_zone = "eu-central"
  ip_range     = "10.10.1.0/24"
}

# Hetzner's firewall is for the outside: machines reach each other by the network above.
resource "hcloud_firewall" "ssh" {
  name = "${var.name}-ssh"

  rule {
    direction   = "in"
    protocol    = "tcp"
    port        = "22"
    source_ips  = var.ssh_from
    description = "ssh"
  }
}

resource "hcloud_firewall" "web" {
  name = "${var.name}-web"

  dynamic "rule" {
    for_each = toset(["80", "443"])
    content {
      direction   = "in"
      protocol    = "tcp"
      port        = rule.value
      source_ips  = ["0.0.0.0/0", "::/0"]
      description = "the proxy"
    }
  }
}

resource "hcloud_volume" "stores" {
  name              = "${var.name}-stores"
  size              = var.volume_size
  location          = var.location
  format            = "ext4"
  delete_protection = true
}

resource "hcloud_server" "machine" {
  for_each           = local.roles
  name               = "${var.name}-${each.key}"
  server_type        = each.value.type
  location           = var.location
  image              = "debian-12"
  ssh_keys           = [hcloud_ssh_key.deploy.id]
  delete_protection  = each.key == local.stores
  rebuild_protection = each.key == local.stores
  firewall_ids = concat(
    [hcloud_firewall.ssh.id],
    contains(["one", "app"], each.key) ? [hcloud_firewall.web.id] : [],
  )

  user_data = templatefile(
    each.key == "database" ? "${path.module}/../cloud-init/database.yaml" : "${path.module}/../cloud-init/host.yaml",
    {
      public_key = trimspace(var.ssh_public_key)
      services   = each.value.services
      address    = each.value.address
      app        = local.app
      workers    = each.key == "app" ? jsonencode([{ targets = local.workers }]) : "[]"
      volume     = each.key == local.stores ? hcloud_volume.stores.linux_device : ""
    },
  )

  # Without an empty alias_ips each apply takes the machine off the network and back (#650 of the provider's issues).
  network {
    subnet_id = hcloud_network_subnet.inside.id
    ip        = each.value.address
    alias_ips = []
  }

  # A machine is set up once. What cloud-init says later is for machines that are made later.
  lifecycle {
    ignore_changes = [user_data, ssh_keys, image]
  }
}

resource "hcloud_volume_attachment" "stores" {
  volume_id = hcloud_volume.stores.id
  server_id = hcloud_server.machine[local.stores].id
  automount = false

  # A plan that would take the data off its machine is refused before anything is done.
  lifecycle {
    prevent_destroy = true
  }
}
