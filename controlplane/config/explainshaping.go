package config

import (
	"cmp"
	"fmt"

	configv1 "tidegate.dev/proto/tidegate/config/v1"
)

// shapingOf says what a route does to its requests beside answering them.
func shapingOf(route *configv1.Route) (parts []string) {
	say := func(format string, arguments ...any) { parts = append(parts, fmt.Sprintf(format, arguments...)) }
	if mirror := route.GetMirror(); mirror != nil {
		say("copies %s of the requests to %s", percentOf(mirror.Percent), mirror.GetService())
	}
	gate := ""
	if header := route.GetFault().GetHeader(); header != "" {
		gate = " that carry " + header
	}
	if delay := route.GetFault().GetDelay(); delay != nil {
		say("delays %s of the requests%s by %s", percentOf(delay.Percent), gate, delay.GetDuration())
	}
	if abort := route.GetFault().GetAbort(); abort != nil {
		say("answers %s of the requests%s with %d", percentOf(abort.Percent), gate, abort.GetStatus())
	}
	if most := route.GetMaxRequestBytes(); most > 0 {
		say("refuses bodies of more than %d bytes", most)
	}
	if criticality := cmp.Or(route.GetCriticality(), "default"); criticality != "default" {
		say("is %s when there is too much to do", criticality)
	}
	return parts
}

func percentOf(share *float64) string {
	if share == nil {
		return "100 %"
	}
	return fmt.Sprintf("%.4g %%", *share)
}
