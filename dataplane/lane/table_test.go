package lane

import (
	"crypto/hmac"
	"crypto/sha256"
	"errors"
	"fmt"
	"testing"
	"time"

	agentv1 "tidegate.dev/proto/tidegate/agent/v1"
	configv1 "tidegate.dev/proto/tidegate/config/v1"
)

var hashKey = []byte("the key of the keyed hash")

func hashOf(key string) []byte {
	mac := hmac.New(sha256.New, hashKey)
	mac.Write([]byte(key))
	return mac.Sum(nil)
}

func consumer(name, plan string, disabled bool) *agentv1.LaneEntry {
	return &agentv1.LaneEntry{Kind: configv1.Kind_KIND_CONSUMER, Name: name, Material: &agentv1.LaneEntry_Consumer{
		Consumer: &agentv1.ConsumerMaterial{Plan: plan, Disabled: disabled},
	}}
}

func key(id, consumer, text string) *agentv1.LaneEntry {
	return &agentv1.LaneEntry{Kind: configv1.Kind_KIND_KEY, Name: id, Material: &agentv1.LaneEntry_Key{
		Key: &agentv1.KeyMaterial{Consumer: consumer, Hash: hashOf(text), Scopes: []string{"read", "write"}},
	}}
}

func secret(name, value string) *agentv1.LaneEntry {
	return &agentv1.LaneEntry{Kind: configv1.Kind_KIND_SECRET, Name: name, Material: &agentv1.LaneEntry_Secret{
		Secret: &agentv1.SecretMaterial{Value: value},
	}}
}

func gone(kind configv1.Kind, name string) *agentv1.LaneEntry {
	return &agentv1.LaneEntry{Kind: kind, Name: name, Deleted: true}
}

// lane applies entries one after the other.
type lane struct {
	*Table
	t        testing.TB
	sequence int64
}

func newLane(t testing.TB) *lane {
	l := &lane{Table: New(), t: t}
	l.SetKeyHashKey(hashKey)
	return l
}

func (l *lane) batch(entries ...*agentv1.LaneEntry) *agentv1.LaneBatch {
	b := &agentv1.LaneBatch{Epoch: 1, AfterSequence: l.sequence, Entries: entries}
	for _, e := range entries {
		l.sequence++
		e.Sequence = l.sequence
	}
	b.ThroughSequence = l.sequence
	return b
}

func (l *lane) apply(entries ...*agentv1.LaneEntry) {
	l.t.Helper()
	if err := l.Apply(l.batch(entries...)); err != nil {
		l.t.Fatal(err)
	}
}

func TestWhatWasAppliedIsFound(t *testing.T) {
	t.Parallel()
	l := newLane(t)
	l.apply(consumer("acme", "gold", false), key("k1", "acme", "tg_one"), secret("token", "s"))
	k, ok := l.Key("tg_one")
	if !ok || k.ID != "k1" || k.Consumer != "acme" || !k.HasScopes([]string{"write"}) || k.HasScopes([]string{"admin"}) {
		t.Errorf("%+v, %v", k, ok)
	}
	if c, ok := l.Consumer("acme"); !ok || c.Plan != "gold" || c.Disabled {
		t.Errorf("%+v, %v", c, ok)
	}
	if s, ok := l.Secret("token"); !ok || s != "s" {
		t.Error(s, ok)
	}
	if counts := l.Counts(); counts != (Counts{Consumers: 1, Keys: 1, Secrets: 1}) {
		t.Error(counts)
	}
	for _, wrong := range []string{"", "tg_two", string(make([]byte, 1000))} {
		if _, ok := l.Key(wrong); ok {
			t.Errorf("%q is found", wrong)
		}
	}
	// The key gets another hash: the old one is found no more.
	l.apply(key("k1", "acme", "tg_two"))
	if _, ok := l.Key("tg_one"); ok {
		t.Error("the former hash is found")
	}
	l.apply(gone(configv1.Kind_KIND_KEY, "k1"), gone(configv1.Kind_KIND_CONSUMER, "acme"), gone(configv1.Kind_KIND_SECRET, "token"))
	if counts := l.Counts(); counts != (Counts{}) {
		t.Error(counts)
	}
	if _, sequence := l.Position(); sequence != 7 {
		t.Error("held up to", sequence)
	}
}

func TestKeysExpire(t *testing.T) {
	t.Parallel()
	at := time.Unix(1_000_000, 0)
	for name, c := range map[string]struct {
		expires int64
		want    bool
	}{"never": {0, false}, "later": {1_000_001, false}, "now": {1_000_000, true}, "before": {999_999, true}} {
		if got := (&Key{ExpiresAt: c.expires}).Expired(at); got != c.want {
			t.Error(name, got)
		}
	}
}

func TestRightsEndOnce(t *testing.T) {
	t.Parallel()
	begin := []*agentv1.LaneEntry{consumer("acme", "", false), key("k1", "acme", "tg_one")}
	cases := map[string]struct {
		then          []*agentv1.LaneEntry
		reset         bool
		key, consumer int
	}{
		"nothing":              {},
		"same again":           {then: []*agentv1.LaneEntry{consumer("acme", "", false), key("k1", "acme", "tg_one")}},
		"another plan":         {then: []*agentv1.LaneEntry{consumer("acme", "gold", false)}},
		"key removed":          {then: []*agentv1.LaneEntry{gone(configv1.Kind_KIND_KEY, "k1")}, key: 1},
		"removed and returned": {then: []*agentv1.LaneEntry{gone(configv1.Kind_KIND_KEY, "k1"), key("k1", "acme", "tg_one")}, key: 1},
		"another hash":         {then: []*agentv1.LaneEntry{key("k1", "acme", "tg_two")}, key: 1},
		"another consumer":     {then: []*agentv1.LaneEntry{key("k1", "else", "tg_one")}, key: 1},
		"consumer disabled":    {then: []*agentv1.LaneEntry{consumer("acme", "", true)}, consumer: 1},
		"disabled twice":       {then: []*agentv1.LaneEntry{consumer("acme", "", true), consumer("acme", "x", true)}, consumer: 1},
		"consumer removed":     {then: []*agentv1.LaneEntry{gone(configv1.Kind_KIND_CONSUMER, "acme")}, consumer: 1},
		"reset without them":   {reset: true, key: 1, consumer: 1},
		"reset with them":      {reset: true, then: []*agentv1.LaneEntry{consumer("acme", "", false), key("k1", "acme", "tg_one")}},
		"reset, disabled":      {reset: true, then: []*agentv1.LaneEntry{consumer("acme", "", true), key("k1", "acme", "tg_one")}, consumer: 1},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			l := newLane(t)
			l.apply(begin...)
			k, _ := l.Key("tg_one")
			who, _ := l.Consumer("acme")
			keys, consumers, never := 0, 0, 0
			k.Revocation.OnEnd(func() { keys++ })
			who.Revocation.OnEnd(func() { consumers++ })
			k.Revocation.OnEnd(func() { never++ })()
			b := l.batch(c.then...)
			b.Reset_ = c.reset
			if err := l.Apply(b); err != nil {
				t.Fatal(err)
			}
			if keys != c.key || consumers != c.consumer || never != 0 {
				t.Errorf("the key ended %d times, the consumer %d; a stopped wait was told %d times", keys, consumers, never)
			}
			if c.key == 1 {
				late := 0
				k.Revocation.OnEnd(func() { late++ })
				if late != 1 {
					t.Error("who asks late is not told")
				}
			}
		})
	}
}

func TestBatchesComeInOrder(t *testing.T) {
	t.Parallel()
	l := newLane(t)
	first, second := l.batch(secret("a", "1")), l.batch(secret("a", "2"))
	var gap *GapError
	if err := l.Apply(second); !errors.As(err, &gap) || gap.AfterSequence != 1 {
		t.Fatal(err)
	}
	for _, b := range []*agentv1.LaneBatch{first, second, first, second} {
		if err := l.Apply(b); err != nil {
			t.Fatal(err)
		}
	}
	if value, _ := l.Secret("a"); value != "2" {
		t.Error("a batch that came again set", value)
	}
	other := l.batch(secret("a", "3"))
	other.Epoch = 2
	if err := l.Apply(other); !errors.As(err, &gap) {
		t.Error("another epoch is continued:", err)
	}
	other.Reset_ = true
	if err := l.Apply(other); err != nil {
		t.Error(err)
	}
	if epoch, sequence := l.Position(); epoch != 2 || sequence != 3 {
		t.Error(epoch, sequence)
	}
}

func TestOneBadEntryHoldsUpNoOther(t *testing.T) {
	t.Parallel()
	l := newLane(t)
	l.apply(key("k1", "acme", "tg_one"))
	bad := &agentv1.LaneEntry{Kind: configv1.Kind_KIND_CERTIFICATE, Name: "c", Material: &agentv1.LaneEntry_Certificate{
		Certificate: &agentv1.CertificateMaterial{CertificatePem: "x", PrivateKeyPem: "very private"},
	}}
	short := key("k2", "acme", "tg_two")
	short.GetKey().Hash = short.GetKey().GetHash()[:31]
	err := l.Apply(l.batch(bad, short, &agentv1.LaneEntry{Kind: 99, Name: "?"}, &agentv1.LaneEntry{Kind: configv1.Kind_KIND_SECRET, Name: "s"},
		gone(configv1.Kind_KIND_KEY, "k1")))
	var entry *EntryError
	if !errors.As(err, &entry) || entry.Name != "c" {
		t.Error(err)
	}
	if _, ok := l.Key("tg_one"); ok {
		t.Error("the revocation behind it was not carried out")
	}
	if _, sequence := l.Position(); sequence != 6 {
		t.Error("held up to", sequence)
	}
}

func FuzzApply(f *testing.F) {
	f.Add([]byte("seed"), int64(0), int64(1), true)
	f.Fuzz(func(t *testing.T, body []byte, after, through int64, reset bool) {
		table := New()
		batch := &agentv1.LaneBatch{AfterSequence: after, ThroughSequence: through, Reset_: reset}
		for i, b := range body {
			batch.Entries = append(batch.Entries, &agentv1.LaneEntry{
				Sequence: int64(i), Kind: configv1.Kind(b % 24), Name: string(body[:i%4]), Deleted: b > 200,
				Material: &agentv1.LaneEntry_Key{Key: &agentv1.KeyMaterial{Hash: body}},
			})
		}
		_ = table.Apply(batch)
	})
}

func BenchmarkKey(b *testing.B) {
	for _, held := range []int{1, 100_000} {
		b.Run(fmt.Sprint(held, " keys"), func(b *testing.B) {
			l := newLane(b)
			for i := range held {
				l.apply(key(fmt.Sprint(i), "acme", fmt.Sprint("tg_", i)))
			}
			b.ReportAllocs()
			for b.Loop() {
				if _, ok := l.Key("tg_0"); !ok {
					b.Fatal("not found")
				}
			}
		})
		b.Run(fmt.Sprint(held, " keys, the same connection"), func(b *testing.B) {
			l := newLane(b)
			for i := range held {
				l.apply(key(fmt.Sprint(i), "acme", fmt.Sprint("tg_", i)))
			}
			var connection Recollection
			b.ReportAllocs()
			for b.Loop() {
				if _, ok := l.KeyAgain("tg_0", &connection); !ok {
					b.Fatal("not found")
				}
			}
		})
	}
}

// BenchmarkApply shows that one change costs the same however much is held.
func BenchmarkApply(b *testing.B) {
	for _, held := range []int{1, 100_000} {
		b.Run(fmt.Sprint(held, " keys"), func(b *testing.B) {
			l := newLane(b)
			for i := range held {
				l.apply(key(fmt.Sprint(i), "acme", fmt.Sprint("tg_", i)))
			}
			change := key("0", "acme", "tg_0")
			b.ReportAllocs()
			for b.Loop() {
				l.apply(change)
			}
		})
	}
}

// A key that changed while its lane was being sent from nothing comes twice; only the later version counts.
func TestAKeyThatComesTwiceInAReset(t *testing.T) {
	l := newLane(t)
	reset := l.batch(consumer("acme", "", false), key("k", "acme", "former"), key("other", "acme", "gone"), key("k", "acme", "later"),
		gone(configv1.Kind_KIND_KEY, "other"))
	reset.Reset_ = true
	if err := l.Apply(reset); err != nil {
		t.Fatal(err)
	}
	for text, want := range map[string]bool{"former": false, "later": true, "gone": false} {
		if _, found := l.content.Load().keys.get(Hash(hashOf(text))); found != want {
			t.Errorf("the key %q is found: %v", text, found)
		}
	}
}

// BenchmarkReset puts a lane of a million keys in the place of another.
func BenchmarkReset(b *testing.B) {
	l := newLane(b)
	batch := &agentv1.LaneBatch{Epoch: 1, Reset_: true, ThroughSequence: 1_000_000}
	for i := range 1_000_000 {
		entry := key(fmt.Sprint("key-", i), "acme", fmt.Sprint(i))
		entry.Sequence = int64(i) + 1
		batch.Entries = append(batch.Entries, entry)
	}
	for b.Loop() {
		if err := l.Apply(batch); err != nil {
			b.Fatal(err)
		}
	}
}
