package lane

import (
	"strings"
	"testing"

	configv1 "tidegate.dev/proto/tidegate/config/v1"
)

// TestARecollectionChangesNoAnswer presents one key after the other on one connection, each twice, while keys come and go.
func TestARecollectionChangesNoAnswer(t *testing.T) {
	t.Parallel()
	long := "tg_" + strings.Repeat("x", longestRecollected)
	l := newLane(t)
	l.apply(consumer("acme", "", false), key("k1", "acme", "tg_one"), key("k2", "acme", "tg_two"), key("k3", "acme", long))
	var connection Recollection
	presents := func(presented, want string) {
		t.Helper()
		for range 2 {
			got := ""
			if k, ok := l.KeyAgain(presented, &connection); ok {
				got = k.ID
			}
			if got != want {
				t.Errorf("%.10q is key %q, not %q", presented, got, want)
			}
		}
	}
	presents("", "")
	presents("tg_one", "k1")
	presents("tg_ona", "")
	presents("tg_one", "k1")
	presents("tg_on", "")
	presents("tg_one\x00", "")
	presents("tg_two", "k2")
	presents(long, "k3")
	presents("tg_two", "k2")
	l.apply(gone(configv1.Kind_KIND_KEY, "k2"))
	presents("tg_two", "")
	l.apply(key("k4", "acme", "tg_two"))
	presents("tg_two", "k4")
	l.SetKeyHashKey([]byte("another"))
	presents("tg_two", "")
	l.SetKeyHashKey(hashKey)
	presents("tg_two", "k4")
}
