package identity_test

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"tidegate.dev/dataplane/agent/controlplanetest"
	"tidegate.dev/dataplane/agent/identity"
	agentv1 "tidegate.dev/proto/tidegate/agent/v1"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func openStore(t *testing.T, dir string) *identity.Store {
	t.Helper()
	s, err := identity.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func token(t *testing.T, text string) identity.JoinToken {
	t.Helper()
	parsed, err := identity.ParseJoinToken(text)
	if err != nil {
		t.Fatal(err)
	}
	return parsed
}

func TestEnrol(t *testing.T) {
	t.Parallel()
	cp := controlplanetest.Start(t)
	dir := t.TempDir()
	store := openStore(t, dir)
	if store.Current() != nil {
		t.Error("there is an identity before the agent enrolled")
	}
	joinToken := token(t, cp.JoinToken())
	if err := store.Enroll(t.Context(), identity.Enrolment{ControlPlane: cp.Address, Token: joinToken, Name: "a"}); err != nil {
		t.Fatal(err)
	}
	again := openStore(t, dir).Current()
	if again.AgentID != controlplanetest.AgentID || again.Fleet != controlplanetest.Fleet {
		t.Errorf("after a restart the agent is %q of %q", again.AgentID, again.Fleet)
	}
	if info, err := os.Stat(filepath.Join(dir, "identity.json")); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the identity's file has the mode %v, %v", info.Mode(), err)
	}
	err := store.Enroll(t.Context(), identity.Enrolment{ControlPlane: cp.Address, Token: joinToken, Name: "a"})
	var temporary *identity.TemporaryError
	if err == nil || errors.As(err, &temporary) {
		t.Errorf("a second use of the token gives %v, want an error that is not temporary", err)
	}
}

func TestEnrolOnlyWithTheAuthorityOfTheToken(t *testing.T) {
	t.Parallel()
	cp, impostor := controlplanetest.Start(t), controlplanetest.Start(t)
	store := openStore(t, t.TempDir())
	err := store.Enroll(t.Context(), identity.Enrolment{ControlPlane: impostor.Address, Token: token(t, cp.JoinToken()), Name: "a"})
	var temporary *identity.TemporaryError
	if err == nil || errors.As(err, &temporary) || !strings.Contains(err.Error(), "authority") || store.Current() != nil {
		t.Errorf("an impostor gives %v", err)
	}
}

func TestEnrolWithNobodyThereIsTemporary(t *testing.T) {
	t.Parallel()
	cp := controlplanetest.Start(t)
	joinToken := token(t, cp.JoinToken())
	cp.Stop()
	err := openStore(t, t.TempDir()).Enroll(t.Context(), identity.Enrolment{ControlPlane: cp.Address, Token: joinToken, Name: "a"})
	var temporary *identity.TemporaryError
	if !errors.As(err, &temporary) {
		t.Errorf("the error is %v, want a temporary one", err)
	}
}

func TestRenew(t *testing.T) {
	t.Parallel()
	cp := controlplanetest.Start(t)
	dir := t.TempDir()
	store := openStore(t, dir)
	if err := store.Enroll(t.Context(), identity.Enrolment{ControlPlane: cp.Address, Token: token(t, cp.JoinToken()), Name: "a"}); err != nil {
		t.Fatal(err)
	}
	conn, err := identity.Dial(cp.Address, store)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	before := store.Current()
	cp.SetLifetime(2 * time.Hour)
	if err := store.Renew(t.Context(), conn); err != nil {
		t.Fatal(err)
	}
	after := openStore(t, dir).Current()
	if after.AgentID != before.AgentID || !after.ExpiresAt().After(before.ExpiresAt()) {
		t.Errorf("renewed from %v to %v", before.ExpiresAt(), after.ExpiresAt())
	}
	if until := time.Until(after.RenewAt()); until < 75*time.Minute || until > 85*time.Minute {
		t.Errorf("of two hours it renews in %v", until)
	}
	if err := store.Renew(t.Context(), conn); err != nil {
		t.Errorf("with the new certificate: %v", err)
	}
}

func TestKeepFreshRenewsBeforeTheEnd(t *testing.T) {
	t.Parallel()
	cp := controlplanetest.Start(t)
	// So long that a slow machine renews before the end; certificates know whole seconds only.
	cp.SetLifetime(9 * time.Second)
	store := openStore(t, t.TempDir())
	if err := store.Enroll(t.Context(), identity.Enrolment{ControlPlane: cp.Address, Token: token(t, cp.JoinToken()), Name: "a"}); err != nil {
		t.Fatal(err)
	}
	conn, err := identity.Dial(cp.Address, store)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	cp.SetLifetime(time.Hour)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() { ended <- store.KeepFresh(ctx, conn, slog.New(slog.DiscardHandler)) }()
	cp.Wait(t, "a renewal", func() bool { return cp.Renewals() == 1 })
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

func TestOpenChecksSignatureAndType(t *testing.T) {
	t.Parallel()
	cp, other := controlplanetest.Start(t), controlplanetest.Start(t)
	store := openStore(t, t.TempDir())
	if err := store.Enroll(t.Context(), identity.Enrolment{ControlPlane: cp.Address, Token: token(t, cp.JoinToken()), Name: "a"}); err != nil {
		t.Fatal(err)
	}
	good := cp.Sign(&agentv1.DesiredState{Generation: 7})
	var opened agentv1.DesiredState
	if err := store.Current().Open(good, &opened); err != nil || opened.GetGeneration() != 7 {
		t.Errorf("opened %v, %v", &opened, err)
	}
	changed := cp.Sign(&agentv1.DesiredState{Generation: 7})
	changed.Payload = cp.Sign(&agentv1.DesiredState{Generation: 8}).GetPayload()
	unknown := cp.Sign(&agentv1.DesiredState{})
	unknown.KeyId = "k2"
	for name, signed := range map[string]*agentv1.Signed{
		"another's":                  other.Sign(&agentv1.DesiredState{Generation: 7}),
		"with another payload":       changed,
		"with a key that is unknown": unknown,
		"empty":                      {},
	} {
		if err := store.Current().Open(signed, new(agentv1.DesiredState)); err == nil {
			t.Errorf("a signature %s was taken", name)
		}
	}
	if err := store.Current().Open(good, new(agentv1.LaneBatch)); err == nil {
		t.Error("the signature of one type was taken for another")
	}
}

func TestParseJoinToken(t *testing.T) {
	t.Parallel()
	pin := strings.Repeat("0a", 32)
	for text, ok := range map[string]bool{
		"tgj_secret." + pin:        true,
		"tgj_." + pin:              false,
		"tga_secret." + pin:        false,
		"tgj_secret":               false,
		"tgj_secret.":              false,
		"tgj_secret." + pin[:62]:   false,
		"tgj_secret.zz" + pin[:62]: false,
		"":                         false,
	} {
		parsed, err := identity.ParseJoinToken(text)
		if (err == nil) != ok {
			t.Errorf("%q: %v", text, err)
		}
		if err != nil && strings.Contains(err.Error(), "secret") || strings.Contains(parsed.String(), "secret") {
			t.Errorf("%q is shown: %v, %v", text, err, parsed)
		}
	}
}

func TestADamagedFileIsAnErrorWithoutItsContent(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for _, content := range []string{"", "{}", "rubbish", `{"private_key":"c2VjcmV0"}`} {
		if err := os.WriteFile(filepath.Join(dir, "identity.json"), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := identity.Open(dir); err == nil || strings.Contains(err.Error(), "c2VjcmV0") {
			t.Errorf("%q: %v", content, err)
		}
	}
}

func FuzzParseJoinToken(f *testing.F) {
	f.Add("tgj_secret." + strings.Repeat("0a", 32))
	f.Add("tgj_.")
	f.Fuzz(func(t *testing.T, text string) {
		if _, err := identity.ParseJoinToken(text); err == nil && (!strings.HasPrefix(text, "tgj_") || strings.Count(text, ".") != 1) {
			t.Errorf("%q was taken", text)
		}
	})
}
