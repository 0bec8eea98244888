package keyauth

import (
	"strings"
	"testing"
)

func sealed(random string) string {
	sum := checksum(random)
	return prefix + random + string(sum[:])
}

func TestForm(t *testing.T) {
	t.Parallel()
	good := sealed(strings.Repeat("aB3", 14) + "z")
	cases := map[string]struct {
		text string
		want bool
	}{
		"good":              {good, true},
		"another good":      {sealed(strings.Repeat("0", randomLength)), true},
		"empty":             {"", false},
		"too short":         {good[:len(good)-1], false},
		"too long":          {good + "0", false},
		"wrong prefix":      {"tx" + good[2:], false},
		"wrong checksum":    {good[:len(good)-1] + "!", false},
		"one letter turned": {"tg_A" + good[4:], false},
		"not base62":        {"tg_-" + good[4:], false},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := WellFormed(c.text); got != c.want {
				t.Errorf("WellFormed(%q) = %v", c.text, got)
			}
		})
	}
}

func FuzzWellFormed(f *testing.F) {
	f.Add(sealed(strings.Repeat("a", randomLength)))
	f.Add("tg_")
	f.Fuzz(func(t *testing.T, text string) {
		if WellFormed(text) && sealed(text[len(prefix):len(prefix)+randomLength]) != text {
			t.Errorf("%q is well formed, but not what its parts make", text)
		}
	})
}
