package configv1_test

import (
	"strings"
	"testing"

	configv1 "tidegate.dev/proto/tidegate/config/v1"
)

func TestTheFormOfAnAPIKey(t *testing.T) {
	t.Parallel()
	random := strings.Repeat("aB3", 14) + "z"
	good, id := configv1.FormatAPIKey(random)
	if len(good) != 52 || id != random[:8] {
		t.Fatalf("a key of %d characters with the id %q", len(good), id)
	}
	zeros, _ := configv1.FormatAPIKey(strings.Repeat("0", configv1.APIKeyRandomLength))
	cases := map[string]struct {
		text, id string
		ok       bool
	}{
		"good":              {good, id, true},
		"another good":      {zeros, "00000000", true},
		"a fixed one":       {"tg_" + strings.Repeat("a", 43) + "4SHDYg", "aaaaaaaa", true},
		"empty":             {"", "", false},
		"too short":         {good[:len(good)-1], "", false},
		"too long":          {good + "0", "", false},
		"wrong prefix":      {"tx" + good[2:], "", false},
		"wrong checksum":    {good[:len(good)-1] + "!", "", false},
		"one letter turned": {"tg_A" + good[4:], "", false},
		"not base62":        {"tg_-" + good[4:], "", false},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if id, ok := configv1.ParseAPIKey(c.text); ok != c.ok || id != c.id {
				t.Errorf("ParseAPIKey(%q) = %q, %v", c.text, id, ok)
			}
		})
	}
}

//nolint:paralleltest // allocations are counted for the whole process
func TestReadingAnAPIKeyAllocatesNothing(t *testing.T) {
	key, _ := configv1.FormatAPIKey(strings.Repeat("a", configv1.APIKeyRandomLength))
	if allocated := testing.AllocsPerRun(100, func() { configv1.ParseAPIKey(key) }); allocated != 0 {
		t.Errorf("reading a key allocates %v times", allocated)
	}
}

// What has the form of a key is what its parts make, and no other text of its length is taken for it.
func FuzzParseAPIKey(f *testing.F) {
	key, _ := configv1.FormatAPIKey(strings.Repeat("a", configv1.APIKeyRandomLength))
	for _, seed := range []string{key, key[1:], key + "0", "tg_", "", key[:20] + "-" + key[21:]} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		id, ok := configv1.ParseAPIKey(text)
		if !ok {
			return
		}
		again, sameID := configv1.FormatAPIKey(text[3 : 3+configv1.APIKeyRandomLength])
		if again != text || sameID != id {
			t.Errorf("%q is taken for a key, but its parts make %q", text, again)
		}
	})
}
