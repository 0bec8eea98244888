module tidegate.dev/admin-ui

go 1.26.0

ignore ./node_modules
