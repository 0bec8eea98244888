package store

import (
	"context"
	"crypto/sha256"
	"fmt"
	"slices"
	"strings"
	"time"

	"tidegate.dev/controlplane/store/queries"
	"tidegate.dev/proto/revision"
	configv1 "tidegate.dev/proto/tidegate/config/v1"
)

// States of a certificate that is obtained by ACME.
const (
	// ACMEPending: it is being obtained for the first time, or for other names.
	ACMEPending = "pending"
	// ACMEIssued: agents show what was asked for.
	ACMEIssued = "issued"
	// ACMEFailed: the last attempt failed. What was obtained before is still shown.
	ACMEFailed = "failed"
)

// ACMECertificate is how obtaining a certificate by ACME stands.
type ACMECertificate struct {
	Name  string
	State string
	// Error is why the last attempt failed; empty after one that succeeded.
	Error string
	// Failures counts the attempts that failed since the last that succeeded.
	Failures int
	Issuer   string
	// IssuedAt, NotAfter and RenewAt are nil as long as nothing was obtained. DueAt is when something is tried next.
	IssuedAt, NotAfter, RenewAt *time.Time
	DueAt                       time.Time
}

// ACMEDigest says what is asked of an authority: certificates with the same digest need not be obtained anew. The order of
// names does not matter, nor their case.
func ACMEDigest(spec *configv1.Certificate) []byte {
	names := make([]string, len(spec.GetServerNames()))
	for i, name := range spec.GetServerNames() {
		names[i] = strings.ToLower(name)
	}
	slices.Sort(names)
	parts := append(slices.Compact(names), "", spec.GetAcme().DirectoryURL(), spec.GetAcme().GetProfile())
	digest := sha256.Sum256([]byte(strings.Join(parts, "\x00")))
	return digest[:]
}

// WantACME notes that a certificate is to be obtained and kept fresh, as its spec says now. shown is the end of what agents
// show meanwhile; nil if there is nothing, or it is known already. What waits after a failure is tried at once.
func (tx *Tx) WantACME(ctx context.Context, fleetID int64, name string, spec *configv1.Certificate, shown *time.Time) error {
	err := tx.queries.WantACME(ctx, queries.WantACMEParams{FleetID: fleetID, Name: name, Wanted: ACMEDigest(spec), NotAfter: shown})
	if err != nil {
		return fmt.Errorf("noting that certificates/%s is to be obtained: %w", name, translate(err))
	}
	return nil
}

// RenewACME has a certificate obtained anew without waiting until it is due. ErrNotFound: it is not one that is obtained.
func (tx *Tx) RenewACME(ctx context.Context, fleetID int64, name string) error {
	n, err := tx.queries.RenewACME(ctx, queries.RenewACMEParams{FleetID: fleetID, Name: name})
	if err == nil && n == 0 {
		err = ErrNotFound
	}
	if err != nil {
		return fmt.Errorf("having certificates/%s obtained anew: %w", name, translate(err))
	}
	return nil
}

// DropACME forgets that a certificate is to be obtained: nobody renews it any more.
func (tx *Tx) DropACME(ctx context.Context, fleetID int64, name string) error {
	if err := tx.queries.DropACME(ctx, queries.DropACMEParams{FleetID: fleetID, Name: name}); err != nil {
		return fmt.Errorf("forgetting that certificates/%s was to be obtained: %w", name, translate(err))
	}
	return nil
}

// ACMERemains are the deletions of what the fast lane holds for a certificate beside itself: what was obtained, and challenges.
// Call it with the lane locked.
func (tx *Tx) ACMERemains(ctx context.Context, fleetID int64, name string) ([]LaneWrite, error) {
	var writes []LaneWrite
	issued := revision.Key{Kind: configv1.Kind_KIND_ISSUED_CERTIFICATE, Name: name}
	found, err := tx.Lane(ctx, fleetID, []revision.Key{issued})
	if err != nil {
		return nil, err
	}
	if version, ok := found[issued]; ok && !version.Deleted {
		writes = append(writes, LaneWrite{Key: issued, Delete: true})
	}
	challenges, err := tx.ACMEChallenges(ctx, fleetID, name)
	return append(writes, challenges...), err
}

// maxChallenges bounds how many challenges of one certificate are taken out of the lane at once: one a name, and room for those
// that attempts left behind that were cut off.
const maxChallenges = 1000

// ACMEChallenges are the deletions of the challenges that the fast lane holds for a certificate.
func (tx *Tx) ACMEChallenges(ctx context.Context, fleetID int64, name string) ([]LaneWrite, error) {
	rows, err := tx.queries.ListLaneOwned(ctx, queries.ListLaneOwnedParams{
		FleetID: fleetID, Owner: name, Kind: int16(configv1.Kind_KIND_ACME_CHALLENGE), PageSize: maxChallenges,
	})
	if err != nil {
		return nil, fmt.Errorf("listing the challenges of certificates/%s: %w", name, translate(err))
	}
	writes := make([]LaneWrite, len(rows))
	for i, row := range rows {
		writes[i] = LaneWrite{Key: keyOf(row.Kind, row.Name), Delete: true, Owner: name}
	}
	return writes, nil
}

// ACMECertificates says how those of the named certificates stand that are obtained by ACME.
func (tx *Tx) ACMECertificates(ctx context.Context, fleetID int64, names []string) (map[string]ACMECertificate, error) {
	rows, err := tx.queries.ListACME(ctx, queries.ListACMEParams{FleetID: fleetID, Names: names})
	if err != nil {
		return nil, fmt.Errorf("reading how %d certificates stand: %w", len(names), translate(err))
	}
	found := make(map[string]ACMECertificate, len(rows))
	for _, row := range rows {
		certificate := ACMECertificate{
			Name: row.Name, State: row.State, Error: row.Error, Failures: int(row.Attempts), Issuer: row.Issuer,
			IssuedAt: row.IssuedAt, NotAfter: row.NotAfter, RenewAt: row.RenewAt, DueAt: row.DueAt,
		}
		if row.Holder != "" && certificate.Failures > 0 {
			certificate.Failures-- // the attempt under way has not failed yet
		}
		found[row.Name] = certificate
	}
	return found, nil
}

// ACMEOverview is what metrics say of a certificate.
type ACMEOverview struct {
	Fleet, Name, State string
	Attempts           int
	NotAfter           *time.Time
}

// ACMEOverview lists up to limit certificates of all fleets that are obtained by ACME.
func (tx *Tx) ACMEOverview(ctx context.Context, limit int) ([]ACMEOverview, error) {
	rows, err := tx.queries.ListACMEOfAll(ctx, int32(limit))
	if err != nil {
		return nil, fmt.Errorf("listing the certificates of all fleets: %w", translate(err))
	}
	list := make([]ACMEOverview, len(rows))
	for i, row := range rows {
		list[i] = ACMEOverview{Fleet: row.Fleet, Name: row.Name, State: row.State, Attempts: int(row.Attempts), NotAfter: row.NotAfter}
	}
	return list, nil
}

// ACMEAccount is an account at an authority. Sealed is its private key, sealed; Location is its URL, empty before it was made.
type ACMEAccount struct {
	Directory, Email string
	Sealed           []byte
	Location         string
}

// ACMEAccount finds the account for a directory and an email. ErrNotFound: there is none.
func (tx *Tx) ACMEAccount(ctx context.Context, directory, email string) (ACMEAccount, error) {
	row, err := tx.queries.GetACMEAccount(ctx, queries.GetACMEAccountParams{Directory: directory, Email: email})
	if err != nil {
		return ACMEAccount{}, fmt.Errorf("reading the account at %s: %w", directory, translate(err))
	}
	return ACMEAccount{Directory: row.Directory, Email: row.Email, Sealed: row.Sealed, Location: row.Location}, nil
}

// AddACMEAccount keeps the key of a new account, unless there is one for that directory and email. Read afterwards which it is.
func (tx *Tx) AddACMEAccount(ctx context.Context, account ACMEAccount) error {
	err := tx.queries.AddACMEAccount(ctx, queries.AddACMEAccountParams{
		Directory: account.Directory, Email: account.Email, Sealed: account.Sealed,
	})
	if err != nil {
		return fmt.Errorf("keeping the account at %s: %w", account.Directory, translate(err))
	}
	return nil
}

// SetACMEAccountLocation keeps the URL of an account; "" if the authority does not know it any more.
func (tx *Tx) SetACMEAccountLocation(ctx context.Context, account ACMEAccount) error {
	err := tx.queries.SetACMEAccountLocation(ctx, queries.SetACMEAccountLocationParams{
		Directory: account.Directory, Email: account.Email, Location: account.Location,
	})
	if err != nil {
		return fmt.Errorf("keeping the URL of the account at %s: %w", account.Directory, translate(err))
	}
	return nil
}

// AgentsBehind says how many agents of a fleet are connected, and which of them do not hold the fast lane up to a sequence.
func (tx *Tx) AgentsBehind(ctx context.Context, fleetID, sequence int64) (connected int, behind []string, err error) {
	rows, err := tx.queries.ListAgentsBehind(ctx, queries.ListAgentsBehindParams{
		FleetID: fleetID, Sequence: sequence, LostAfterSeconds: LostAfter.Seconds(),
	})
	if err != nil {
		return 0, nil, fmt.Errorf("asking which agents hold the fast lane up to %d: %w", sequence, translate(err))
	}
	for _, row := range rows {
		if row.Behind {
			behind = append(behind, row.Name)
		}
	}
	return len(rows), behind, nil
}
