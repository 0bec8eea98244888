// Package admin is the admin API: it translates between the schema's services (tidegate.admin.v1) and the rooms that do the
// work. It is served as gRPC and, through the generated gateway (folder gateway), as REST, on one address, beside the console
// and the OpenAPI document. Both ways pass the same interceptors in the same order:
//
//	request id → recover → identify → authorize → protovalidate → transact (idempotency key, effect, audit: one transaction)
//
// The gateway calls the services in process (connection.go), so a caller's identity travels in the context and nowhere else.
//
// Every error is a problem of one table (problems.go); the rooms' typed errors become problems in failures.go.
//
// It must never know SQL, pgx or the rules of the domain: what may be published, when a rollout fails, how keys are hashed.
package admin
