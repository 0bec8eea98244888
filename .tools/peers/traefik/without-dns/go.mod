// Not built here: ../build copies dns.go into its copy of lego.
module tidegate.dev/tools/peers/traefik/without-dns

go 1.26.0
