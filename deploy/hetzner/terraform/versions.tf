terraform {
  required_version = ">= 1.6"
  required_providers {
    hcloud = {
      source  = "hetznercloud/hcloud"
      version = "~> 1.63"
    }
  }
}

# The token comes from HCLOUD_TOKEN, and is in no file.
provider "hcloud" {}
