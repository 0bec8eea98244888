package agent

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"time"

	"tidegate.dev/dataplane/agent/journal"
	agentv1 "tidegate.dev/proto/tidegate/agent/v1"
)

// fatalDeaths is how many deaths of the process in a probation speak against the revisions that began it.
const fatalDeaths = 2

// probation marks on the disk that a revision was just taken. The mark is removed when the process has lived long enough
// with it or ends in order; a process that finds one at its start knows that the one before died.
type probation struct {
	path  string
	until time.Time // zero: none is under way
	mark  probationMark
}

type probationMark struct {
	// Roots name the contents that were new, in hexadecimal.
	Roots []string `json:"roots"`
	// Deaths is how often the process died since.
	Deaths int `json:"deaths"`
}

func newProbation(stateDir string) *probation {
	return &probation{path: filepath.Join(stateDir, "probation.json")}
}

// start writes the mark, before the revisions serve.
func (p *probation) start(roots []string, deaths int, until time.Time) error {
	p.mark, p.until = probationMark{Roots: roots, Deaths: deaths}, until
	content, err := json.Marshal(p.mark)
	if err != nil {
		return err
	}
	return journal.WriteFile(p.path, content)
}

func (p *probation) isOver(now time.Time) bool { return !p.until.IsZero() && !now.Before(p.until) }

func (p *probation) end() {
	p.mark, p.until = probationMark{}, time.Time{}
	_ = os.Remove(p.path) // a mark that stays costs at most a retreat to the revision before
}

// died reads the mark that a process left, and adds its death; a mark that cannot be read is none.
func (p *probation) died() probationMark {
	var mark probationMark
	content, err := os.ReadFile(p.path)
	if err != nil || json.Unmarshal(content, &mark) != nil || len(mark.Roots) == 0 {
		return probationMark{}
	}
	mark.Deaths++
	return mark
}

func (m probationMark) condemns(reference *agentv1.RevisionReference) bool {
	return m.Deaths >= fatalDeaths && reference != nil && slices.Contains(m.Roots, rootText(reference))
}

func rootText(reference *agentv1.RevisionReference) string {
	return hex.EncodeToString(canonicalRoot(reference))
}

func (a *Agent) startProbation(ctx context.Context, roots []string) {
	if err := a.probation.start(roots, 0, time.Now().Add(a.config.Probation)); err != nil {
		a.log.WarnContext(ctx, "probation not marked", "error", err)
	}
}
