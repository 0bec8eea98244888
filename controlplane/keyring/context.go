package keyring

import (
	"strconv"

	configv1 "tidegate.dev/proto/tidegate/config/v1"
)

// ResourceContext is the context under which the body of a certificate or a secret is sealed, in a change set and in the
// fast lane alike, so that it moves from one to the other as it is, and never to another fleet or name.
func ResourceContext(fleetID int64, kind configv1.Kind, name string) []byte {
	context := append([]byte("tidegate resource\x00"), strconv.FormatInt(fleetID, 10)...)
	context = append(context, 0)
	context = strconv.AppendInt(context, int64(kind), 10)
	context = append(context, 0)
	return append(context, name...)
}
