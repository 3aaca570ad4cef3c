variable "name" {
  description = "Begins the name of everything that is made."
  type        = string
  default     = "aicd"
}

variable "location" {
  description = "Where the machines stand."
  type        = string
  default     = "nbg1"
}

variable "ssh_public_key" {
  description = "The key that may log in as deploy, on every machine."
  type        = string
}

variable "ssh_from" {
  description = "Networks that ssh is let in from. There is no default: the whole world is a decision."
  type        = list(string)

  validation {
    condition     = length(var.ssh_from) > 0 && alltrue([for each in var.ssh_from : can(cidrhost(each, 0))])
    error_message = "ssh_from is a list of networks, such as [\"203.0.113.7/32\"]."
  }
}

variable "apart" {
  description = "false: one machine runs everything. true: the API, the workers and the database have machines of their own."
  type        = bool
  default     = false
}

variable "workers" {
  description = "Machines for workers, where they are apart."
  type        = number
  default     = 2
}

variable "type" {
  description = "Kind of machine of the one machine, or of the API's."
  type        = string
  default     = "cpx42"
}

variable "worker_type" {
  description = "Kind of machine of a worker's; two jobs at once want 10 GB of memory."
  type        = string
  default     = "cpx42"
}

variable "database_type" {
  description = "Kind of machine of the database's."
  type        = string
  default     = "cpx32"
}

variable "volume_size" {
  description = "Size in GB of the volume that holds the database, and on one machine everything else, too."
  type        = number
  default     = 100
}
