package identity_test

import (
	"errors"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"tidegate.dev/controlplane/identity"
	"tidegate.dev/controlplane/store"
	"tidegate.dev/controlplane/store/storetest"
)

var source = netip.MustParseAddr("192.0.2.7")

func TestATokenSaysWhoAsksUntilItIsRevoked(t *testing.T) {
	t.Parallel()
	service := identity.New(storetest.Open(t))
	secret, made := createToken(t, service, "ci", identity.Publisher)

	who, err := service.Authenticate(t.Context(), secret, source)
	if err != nil || who.Name != "ci" || who.Role != identity.Publisher {
		t.Fatalf("Authenticate = %+v, %v", who, err)
	}
	session, _, err := service.SignIn(t.Context(), secret, source)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := service.ResumeSession(t.Context(), session, source); err != nil {
		t.Fatalf("a session that just began: %v", err)
	}
	if name, err := service.RevokeToken(t.Context(), made.ID); err != nil || name != "ci" {
		t.Fatalf("RevokeToken = %q, %v", name, err)
	}
	if _, err := service.Authenticate(t.Context(), secret, source); !errors.Is(err, identity.ErrUnknown) {
		t.Errorf("a revoked token: %v", err)
	}
	if _, err := service.ResumeSession(t.Context(), session, source); !errors.Is(err, identity.ErrUnknown) {
		t.Errorf("a session of a revoked token: %v", err)
	}
	if _, err := service.RevokeToken(t.Context(), made.ID); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("revoking it twice: %v", err)
	}
	createToken(t, service, "ci", identity.Viewer) // the name is free again
}

func TestSigningOutEndsTheSessionOnly(t *testing.T) {
	t.Parallel()
	service := identity.New(storetest.Open(t))
	secret, _ := createToken(t, service, "ada", identity.Admin)
	session, who, err := service.SignIn(t.Context(), secret, source)
	if err != nil || time.Until(who.ExpiresAt) > identity.SessionLifetime {
		t.Fatalf("SignIn = %+v, %v", who, err)
	}
	if err := service.SignOut(t.Context(), session); err != nil {
		t.Fatal(err)
	}
	if _, err := service.ResumeSession(t.Context(), session, source); !errors.Is(err, identity.ErrUnknown) {
		t.Errorf("the session must have ended: %v", err)
	}
	if _, err := service.Authenticate(t.Context(), secret, source); err != nil {
		t.Errorf("the token must live on: %v", err)
	}
}

func TestGuessingIsLockedOutAndThoseWhoWereGoodAreNot(t *testing.T) {
	t.Parallel()
	service := identity.New(storetest.Open(t))
	secret, _ := createToken(t, service, "ada", identity.Admin)
	if _, err := service.Authenticate(t.Context(), secret, source); err != nil {
		t.Fatal(err)
	}
	var locked *identity.LockedOutError
	guess := "tga_" + strings.Repeat("0", 43)
	for range 50 {
		_, err := service.Authenticate(t.Context(), guess, source)
		if errors.As(err, &locked) {
			break
		}
	}
	if locked == nil || locked.RetryAfter <= 0 {
		t.Fatal("fifty guesses must end in a lock-out")
	}
	if _, err := service.Authenticate(t.Context(), secret, source); err != nil {
		t.Errorf("a token that was good lately, from the same address: %v", err)
	}
}

func TestUseIsNotedToTheMinute(t *testing.T) {
	t.Parallel()
	service := identity.New(storetest.Open(t))
	secret, _ := createToken(t, service, "ada", identity.Admin)
	if _, err := service.Authenticate(t.Context(), secret, source); err != nil {
		t.Fatal(err)
	}
	tokens, err := service.Tokens(t.Context())
	if err != nil || len(tokens) != 1 || tokens[0].LastUsedAt == nil || tokens[0].LastUsedAt.Second() != 0 {
		t.Errorf("Tokens = %+v, %v", tokens, err)
	}
}

func TestNamesAndLifetimesAreChecked(t *testing.T) {
	t.Parallel()
	service := identity.New(storetest.Open(t))
	createToken(t, service, "ada", identity.Admin)
	if _, _, err := service.CreateToken(t.Context(), "ada", identity.Viewer, time.Hour); !errors.Is(err, identity.ErrNameTaken) {
		t.Errorf("a name twice: %v", err)
	}
	for _, lifetime := range []time.Duration{0, -time.Hour, 10 * 365 * 24 * time.Hour} {
		if _, _, err := service.CreateToken(t.Context(), "bob", identity.Viewer, lifetime); !errors.Is(err, identity.ErrLifetime) {
			t.Errorf("lifetime %s: %v", lifetime, err)
		}
	}
}

func TestTheFirstTokenIsWrittenOnce(t *testing.T) {
	t.Parallel()
	service := identity.New(storetest.Open(t))
	path := filepath.Join(t.TempDir(), "token")
	made, err := service.Bootstrap(t.Context(), path)
	if err != nil || !made {
		t.Fatalf("Bootstrap = %t, %v", made, err)
	}
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	who, err := service.Authenticate(t.Context(), strings.TrimSpace(string(content)), source)
	if err != nil || who.Role != identity.Admin {
		t.Errorf("Authenticate = %+v, %v", who, err)
	}
	if again, err := service.Bootstrap(t.Context(), path); err != nil || again {
		t.Errorf("a second time: %t, %v", again, err)
	}
	if entries, _ := os.ReadDir(filepath.Dir(path)); len(entries) != 1 {
		t.Errorf("nothing else may stay in the folder: %v", entries)
	}
}

func TestAFolderThatIsMissingLeavesNoToken(t *testing.T) {
	t.Parallel()
	service := identity.New(storetest.Open(t))
	if _, err := service.Bootstrap(t.Context(), filepath.Join(t.TempDir(), "missing", "token")); err == nil {
		t.Fatal("the folder does not exist")
	}
	if tokens, err := service.Tokens(t.Context()); err != nil || len(tokens) != 0 {
		t.Errorf("no token may have been made: %v, %v", tokens, err)
	}
}

func createToken(t *testing.T, service *identity.Service, name string, role identity.Role) (string, store.Token) {
	t.Helper()
	secret, made, err := service.CreateToken(t.Context(), name, role, time.Hour)
	if err != nil {
		t.Fatalf("making token %q: %v", name, err)
	}
	return secret, made
}
