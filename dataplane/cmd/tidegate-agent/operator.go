package main

import (
	"context"
	"net"

	"tidegate.dev/dataplane/agent"
)

type operatorKey struct{}

// withOperator finds out who is at the other end of a local socket.
func withOperator(ctx context.Context, connection net.Conn) context.Context {
	local, ok := connection.(*net.UnixConn)
	if !ok {
		return ctx
	}
	return context.WithValue(ctx, operatorKey{}, peerOf(local))
}

// operatorOf is who sends a request over the local socket; nobody known where the system does not tell.
func operatorOf(ctx context.Context) agent.Operator {
	by, _ := ctx.Value(operatorKey{}).(agent.Operator)
	return by
}
