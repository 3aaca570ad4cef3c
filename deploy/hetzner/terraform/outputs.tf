output "hosts" {
  description = "What HOST is of `make deploy`, for each machine that is deployed to; the API's comes first."
  value       = { for name, each in hcloud_server.machine : name => "deploy@${each.ipv4_address}" if name != "database" }
}

output "inside" {
  description = "Addresses that the machines have among themselves."
  value       = { for name, each in local.roles : name => each.address }
}
