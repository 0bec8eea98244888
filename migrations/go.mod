module tidegate.dev/migrations

go 1.26.0
