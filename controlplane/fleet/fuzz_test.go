package fleet

import (
	"strings"
	"testing"
)

// FuzzJoinToken: what is read as a join token has the form of one, and a pin or its lack makes no difference.
func FuzzJoinToken(f *testing.F) {
	f.Add("tgj_" + strings.Repeat("a", joinTokenDigits) + "." + strings.Repeat("0", 64))
	f.Add("tgj_.")
	f.Add("")
	f.Fuzz(func(t *testing.T, presented string) {
		hash, err := parseJoinToken(presented)
		if err != nil {
			return
		}
		secret, _, _ := strings.Cut(presented, ".")
		again, err := parseJoinToken(secret)
		if len(hash) != 32 || err != nil || string(again) != string(hash) || !strings.HasPrefix(secret, joinTokenPrefix) {
			t.Errorf("%q was taken for a join token", presented)
		}
	})
}
