package acme_test

import (
	"errors"
	"fmt"
	"math/big"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"tidegate.dev/controlplane/store"
	"tidegate.dev/proto/revision"
	configv1 "tidegate.dev/proto/tidegate/config/v1"
)

func TestACertificateIsObtainedForAllItsNames(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	m := r.manager()
	r.goes(m.Run)
	r.put("shop", r.wanted("default", "Shop.example", "www.shop.example"))
	issuance := r.awaitState("shop", store.ACMEIssued)
	leaf := r.leaf("shop")
	if names := slices.Sorted(slices.Values(leaf.DNSNames)); !slices.Equal(names, []string{"shop.example", "www.shop.example"}) {
		t.Errorf("names %v", names)
	}
	if issuance.Failures != 0 || issuance.Error != "" || !issuance.NotAfter.Equal(leaf.NotAfter) || issuance.Issuer != leaf.Issuer.CommonName {
		t.Errorf("%+v", issuance)
	}
	// Pebble suggests the middle of the last third, give or take a day; it is asked again in some hours.
	if third := leaf.NotAfter.Add(-30 * 24 * time.Hour); issuance.RenewAt.Sub(third).Abs() > 25*time.Hour {
		t.Errorf("renewed at %v", issuance.RenewAt)
	}
	if next := time.Until(issuance.DueAt); next < time.Hour || next > 7*time.Hour {
		t.Errorf("looked at again in %v", next)
	}
	if left := r.challenges(); len(left) > 0 {
		t.Errorf("challenges are still answered: %v", left)
	}
	if n := r.orders.Load(); n < 1 || n > 2 { // twice if the nonce was refused
		t.Errorf("%d orders", n)
	}
	eventually(t, "metrics", func() error { return countOf(m.Metrics(), "tidegate_acme_certificate_state", 1) })
	secretStaysSealed(r)
}

func countOf(collectors []prometheus.Collector, name string, want int) error {
	registry := prometheus.NewRegistry()
	registry.MustRegister(collectors...)
	if n, err := testutil.GatherAndCount(registry, name); err != nil || n != want {
		return fmt.Errorf("%d series of %s, %w", n, name, err)
	}
	return nil
}

// secretStaysSealed: no key lies in Postgres as it is.
func secretStaysSealed(r *rig) {
	r.t.Helper()
	r.execute(`DO $$ BEGIN
		IF EXISTS (SELECT FROM lane_versions WHERE position('PRIVATE KEY'::bytea IN body) > 0) THEN RAISE 'a key lies open'; END IF;
		IF EXISTS (SELECT FROM acme_accounts WHERE length(sealed) < 100) THEN RAISE 'an account is not sealed'; END IF;
	END $$`)
}

func TestManyManagersOrderOnce(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	for range 4 {
		r.goes(r.manager().Run)
	}
	for i := range 6 {
		r.put(fmt.Sprintf("shop-%d", i), r.wanted("default", fmt.Sprintf("shop-%d.example", i)))
	}
	for i := range 6 {
		r.awaitState(fmt.Sprintf("shop-%d", i), store.ACMEIssued)
	}
	if n := r.accepted.Load(); n != 6 {
		t.Errorf("%d orders for 6 certificates", n)
	}
	// One key, so one account, however many asked for it at once.
	r.execute(`DO $$ BEGIN IF (SELECT count(*) FROM acme_accounts) <> 1 THEN RAISE 'not one account'; END IF; END $$`)
}

func TestACertificateIsRenewedBeforeItExpires(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.silent.Store(true) // two thirds of its life, then
	r.goes(r.manager().Run)
	r.put("shop", r.wanted("short", "shop.example"))
	r.awaitState("shop", store.ACMEIssued)
	first := r.leaf("shop")
	var second *big.Int
	eventually(t, "another certificate", func() error {
		if second = r.leaf("shop").SerialNumber; second.Cmp(first.SerialNumber) == 0 {
			return errors.New("it is still the first")
		}
		return nil
	})
	if !time.Now().Before(first.NotAfter) {
		t.Error("the first had expired")
	}
}

func TestAnAuthorityMayAskToRenewEarly(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.goes(r.manager().Run)
	r.put("shop", r.wanted("default", "shop.example"))
	r.awaitState("shop", store.ACMEIssued)
	first := r.leaf("shop")
	now := time.Now().UTC()
	r.suggest(r.material("shop").GetCertificatePem(), fmt.Sprintf(`{"suggestedWindow": {"start": %q, "end": %q}}`,
		now.Add(-2*time.Hour).Format(time.RFC3339), now.Add(-time.Hour).Format(time.RFC3339)))
	r.execute(`UPDATE acme_certificates SET due_at = now()`)
	eventually(t, "another certificate", func() error {
		if r.leaf("shop").SerialNumber.Cmp(first.SerialNumber) == 0 {
			return errors.New("it is still the first")
		}
		return nil
	})
}

func TestWithoutItsAuthorityTheLastCertificateStays(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.goes(r.manager().Run)
	r.put("shop", r.wanted("default", "shop.example"))
	r.awaitState("shop", store.ACMEIssued)
	first := r.leaf("shop").SerialNumber

	r.down.Store(true)
	r.execute(`UPDATE acme_certificates SET renew_at = now(), due_at = now()`)
	failed := r.awaitState("shop", store.ACMEFailed)
	if !strings.Contains(failed.Error, "Is the directory "+r.directory()+" up") {
		t.Errorf("error %q", failed.Error)
	}
	if failed.NotAfter == nil || r.leaf("shop").SerialNumber.Cmp(first) != 0 {
		t.Error("the certificate did not stay")
	}

	r.down.Store(false)
	r.awaitState("shop", store.ACMEIssued)
	if r.leaf("shop").SerialNumber.Cmp(first) == 0 {
		t.Error("it was not renewed")
	}
}

func TestAPersonMayHaveItRenewed(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.goes(r.manager().Run)
	r.put("shop", r.wanted("default", "shop.example"))
	r.awaitState("shop", store.ACMEIssued)
	first := r.leaf("shop").SerialNumber
	if _, err := r.config.RenewCertificate(t.Context(), fleetName, "shop"); err != nil {
		t.Fatal(err)
	}
	eventually(t, "another certificate", func() error {
		if r.leaf("shop").SerialNumber.Cmp(first) == 0 {
			return errors.New("it is still the first")
		}
		return nil
	})
}

func TestAnAuthorityThatForgotEverythingGivesAgain(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.goes(r.manager().Run)
	r.put("shop", r.wanted("default", "shop.example"))
	r.awaitState("shop", store.ACMEIssued)
	first := r.leaf("shop").SerialNumber
	r.forget()
	r.execute(`UPDATE acme_certificates SET renew_at = now(), due_at = now()`)
	eventually(t, "a certificate of the new authority", func() error {
		if issuance := r.issuance("shop"); issuance.State != store.ACMEIssued || r.serial("shop").Cmp(first) == 0 {
			return fmt.Errorf("%+v", issuance)
		}
		return nil
	})
	r.leaf("shop")
}

func TestAFailureSaysWhatToDo(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.goes(r.manager().Run)
	r.agent.server.Close() // names lead to a port where nobody answers
	r.put("shop", r.wanted("default", "shop.example"))
	failed := r.awaitState("shop", store.ACMEFailed)
	if !strings.Contains(failed.Error, "Make port 80 of shop.example lead to the agents") {
		t.Errorf("error %q", failed.Error)
	}
	if failed.NotAfter != nil || !failed.DueAt.After(time.Now().Add(-time.Second)) {
		t.Errorf("%+v", failed)
	}
	if left := r.challenges(); len(left) > 0 {
		t.Errorf("challenges are still answered: %v", left)
	}
	r.put("bad", r.wanted("unheard-of", "bad.example"))
	if failed := r.awaitState("bad", store.ACMEFailed); !strings.Contains(failed.Error, "Change acme.profile") {
		t.Errorf("error %q", failed.Error)
	}
	untrusted := r.wanted("default", "untrusted.example")
	untrusted.Acme.CaPem = ""
	r.put("untrusted", untrusted)
	if failed := r.awaitState("untrusted", store.ACMEFailed); !strings.Contains(failed.Error, "acme.ca_pem") {
		t.Errorf("error %q", failed.Error)
	}
}

func TestAnAuthoritysLimitIsKept(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.limited.Store(true)
	r.goes(r.manager().Run)
	r.put("shop", r.wanted("default", "shop.example"))
	failed := r.awaitState("shop", store.ACMEFailed)
	if wait := time.Until(failed.DueAt); wait < 50*time.Minute || !strings.Contains(failed.Error, "too many") {
		t.Errorf("tried again in %v after %q", wait, failed.Error)
	}
}

func TestTheAuthorityIsNotAskedToLookBeforeAgentsKnow(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.goes(r.manager().Run)
	r.agent.deaf.Store(true)
	r.put("shop", r.wanted("default", "shop.example"))
	failed := r.awaitState("shop", store.ACMEFailed)
	if !strings.Contains(failed.Error, "agent-1") || !strings.Contains(failed.Error, "1 of 1") {
		t.Errorf("error %q", failed.Error)
	}
	if n := r.agent.refused.Load(); n != 0 {
		t.Errorf("the authority looked %d times", n)
	}
	r.agent.deaf.Store(false)
	r.awaitState("shop", store.ACMEIssued)
}

func TestADeletedCertificateIsNotObtained(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.goes(r.manager().Run)
	r.agent.deaf.Store(true) // so that it is deleted in the middle
	r.put("shop", r.wanted("default", "shop.example"))
	eventually(t, "the challenge", func() error {
		if len(r.challenges()) == 0 {
			return errors.New("there is none")
		}
		return nil
	})
	r.remove("shop")
	r.agent.deaf.Store(false)
	if left := r.challenges(); len(left) > 0 {
		t.Errorf("challenges are still answered: %v", left)
	}
	// Another certificate is obtained while nothing of the first comes back.
	r.put("other", r.wanted("default", "other.example"))
	r.awaitState("other", store.ACMEIssued)
	if r.material("shop") != nil {
		t.Error("it was obtained")
	}
}

func TestWhatADeadProcessBeganIsBegunAnewAfterAPause(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.put("shop", r.wanted("default", "shop.example"))
	// A process claims the certificate, begins, and is heard of no more.
	err := r.store.InTx(t.Context(), func(tx *store.Tx) error {
		claim, err := tx.ClaimACME(t.Context(), "the dead", 400*time.Millisecond)
		if err != nil {
			return err
		}
		left := store.LaneWrite{Key: revision.Key{Kind: configv1.Kind_KIND_ACME_CHALLENGE, Name: "left"}, Owner: "shop", Body: []byte("x")}
		if _, err := tx.AppendLane(t.Context(), r.fleet.ID, "acme", []store.LaneWrite{left}); err != nil {
			return err
		}
		return tx.BeginACME(t.Context(), claim, 500*time.Millisecond)
	})
	if err != nil {
		t.Fatal(err)
	}
	died := time.Now()
	r.goes(r.manager().Run)
	eventually(t, "an order", func() error {
		if r.orders.Load() == 0 {
			return errors.New("none")
		}
		return nil
	})
	if waited := time.Since(died); waited < 450*time.Millisecond {
		t.Errorf("it was ordered again after %v", waited)
	}
	r.awaitState("shop", store.ACMEIssued)
	if left := r.challenges(); len(left) > 0 {
		t.Errorf("challenges are still answered: %v", left)
	}
}

func TestAProcessThatStopsGivesBackWhatItBegan(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	stop := r.goes(r.manager().Run)
	r.agent.deaf.Store(true)
	r.put("shop", r.wanted("default", "shop.example"))
	eventually(t, "the challenge", func() error {
		if len(r.challenges()) == 0 {
			return errors.New("there is none")
		}
		return nil
	})
	stop()
	if issuance := r.issuance("shop"); issuance.Failures != 0 || issuance.State != store.ACMEPending || len(r.challenges()) > 0 {
		t.Errorf("%+v, challenges %v", issuance, r.challenges())
	}
	r.agent.deaf.Store(false)
	r.goes(r.manager().Run)
	r.awaitState("shop", store.ACMEIssued)
}

func TestOtherNamesAreObtainedWhileTheOldStay(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.goes(r.manager().Run)
	r.put("shop", r.wanted("default", "shop.example"))
	r.awaitState("shop", store.ACMEIssued)
	first := r.leaf("shop").SerialNumber
	again := r.wanted("default", "shop.example")
	again.Acme.Email = "other@shop.example"
	r.put("shop", again)
	if issuance := r.issuance("shop"); issuance.State != store.ACMEIssued {
		t.Errorf("another email made it %+v", issuance)
	}
	r.put("shop", r.wanted("default", "shop.example", "new.shop.example"))
	if issuance := r.issuance("shop"); issuance.NotAfter == nil || r.serial("shop").Cmp(first) != 0 && issuance.State == store.ACMEPending {
		t.Errorf("the old did not stay: %+v", issuance)
	}
	eventually(t, "the new name", func() error { return r.leaf("shop").VerifyHostname("new.shop.example") })
}
