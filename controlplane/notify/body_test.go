package notify

import (
	"strings"
	"testing"

	"tidegate.dev/controlplane/store"
)

func TestWhatSlackIsToldIsNoMarkup(t *testing.T) {
	t.Parallel()
	body, err := bodyOf("default", formatSlack, store.NotifiedEvent{
		RolloutID: 7, Revision: 3, Type: "step", Message: "evidence 1 < 12,800 & more > less", Actor: "ada",
	})
	want := `default: rollout 7 of revision 3: step: evidence 1 &lt; 12,800 &amp; more &gt; less (by ada)`
	if err != nil || !strings.Contains(strings.ReplaceAll(string(body), `\u0026`, "&"), want) {
		t.Errorf("%s, %v", body, err)
	}
}
