package plugin

import (
	"net/http"
	"slices"
	"testing"
)

// step writes down that it ran.
type step struct {
	name   string
	ran    *[]string
	refuse Reason
}

func (s step) OnRequest(*Exchange) Verdict {
	*s.ran = append(*s.ran, s.name)
	return Refuse(s.refuse, "")
}
func (s step) OnResponse(*Exchange) { *s.ran = append(*s.ran, "/"+s.name) }
func (s step) Refund(*Exchange)     { *s.ran = append(*s.ran, "-"+s.name) }
func (s step) Judge(*Exchange) Verdict {
	*s.ran = append(*s.ran, "?"+s.name)
	return Refuse(s.refuse, "")
}

type planTable map[string][]*Policy

func (p planTable) Plan(name string) ([]*Policy, bool) { policies, ok := p[name]; return policies, ok }

func TestWhichPoliciesRun(t *testing.T) {
	t.Parallel()
	var ran []string
	policy := func(phase Phase, name string) *Policy {
		return NewPolicy(name, "test", phase, false, step{name: name, ran: &ran})
	}
	everyone := func(policies ...*Policy) *Bindings { return &Bindings{Everyone: policies} }
	by := func(who map[string][]*Policy, plans map[string][]*Policy, rest ...*Policy) *Bindings {
		return &Bindings{Everyone: rest, Consumers: who, Plans: plans}
	}
	transform := Choice{Phase: Transformation, Places: [3]*Bindings{
		everyone(policy(Transformation, "route")), everyone(policy(Transformation, "service")), everyone(policy(Transformation, "fleet")),
	}}
	limits := Choice{Phase: Limit, Cumulative: true, Places: [3]*Bindings{
		everyone(policy(Limit, "L route")), nil, everyone(policy(Limit, "L fleet a"), policy(Limit, "L fleet b")),
	}}
	personal := Choice{Phase: Transformation, Places: [3]*Bindings{
		by(nil, map[string][]*Policy{"gold": {policy(Transformation, "route, gold")}}),
		nil,
		by(map[string][]*Policy{"acme": {policy(Transformation, "fleet, acme")}}, map[string][]*Policy{"gold": {policy(Transformation, "fleet, gold")}},
			policy(Transformation, "fleet, all")),
	}}
	auth := Choice{Phase: Authentication, Places: [3]*Bindings{everyone(policy(Authentication, "auth"))}}
	plans := planTable{"gold": {policy(Limit, "plan")}, "free": nil}
	cases := map[string]struct {
		choices []Choice
		caller  Caller
		want    []string
		reason  Reason
	}{
		"nothing bound":                    {},
		"the most specific place":          {choices: []Choice{transform}, want: []string{"route"}},
		"all limits":                       {choices: []Choice{limits}, want: []string{"L route", "L fleet a", "L fleet b"}},
		"phases in order":                  {choices: []Choice{transform, limits, auth}, want: []string{"auth", "L route", "L fleet a", "L fleet b", "route"}},
		"a plan's limits before transform": {choices: []Choice{transform}, caller: Caller{Plan: "gold"}, want: []string{"plan", "route"}},
		"a plan alone":                     {caller: Caller{Plan: "gold"}, want: []string{"plan"}},
		"a plan without limits":            {choices: []Choice{transform}, caller: Caller{Plan: "free"}, want: []string{"route"}},
		"a plan that is not there":         {choices: []Choice{auth, transform}, caller: Caller{Plan: "new"}, want: []string{"auth"}, reason: ReasonConsumerPending},
		"for nobody known":                 {choices: []Choice{personal}, want: []string{"fleet, all"}},
		"for the consumer":                 {choices: []Choice{personal}, caller: Caller{Consumer: "acme"}, want: []string{"fleet, acme"}},
		"a place before a person":          {choices: []Choice{personal}, caller: Caller{Consumer: "acme", Plan: "gold"}, want: []string{"plan", "route, gold"}},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			ran = nil
			chain, x := NewChain(c.choices), &Exchange{Caller: c.caller, Response: http.Header{}}
			if v := chain.Request(x, plans); v.Why() != c.reason {
				t.Error("verdict", v)
			}
			if !slices.Equal(ran, c.want) {
				t.Errorf("ran %q, want %q", ran, c.want)
			}
			ran = nil
			chain.Response(x)
			for i, name := range c.want {
				if at := len(ran) - 1 - i; at < 0 || ran[at] != "/"+name {
					t.Fatalf("responses %q, want the reverse of %q", ran, c.want)
				}
			}
		})
	}
}

func TestARefusalEndsTheWayAndGivesBack(t *testing.T) {
	t.Parallel()
	var ran []string
	choice := Choice{Phase: Limit, Cumulative: true, Places: [3]*Bindings{{Everyone: []*Policy{
		NewPolicy("a", "", Limit, false, step{name: "a", ran: &ran}),
		NewPolicy("shadow", "", Limit, true, step{name: "shadow", ran: &ran, refuse: ReasonForbidden}),
		NewPolicy("b", "", Limit, false, step{name: "b", ran: &ran, refuse: ReasonRateLimited}),
		NewPolicy("c", "", Limit, false, step{name: "c", ran: &ran}),
	}}}}
	chain, x := NewChain([]Choice{choice}), &Exchange{}
	if v := chain.Request(x, planTable{}); v.Why() != ReasonRateLimited {
		t.Error(v)
	}
	chain.Response(x)
	if want := []string{"a", "?shadow", "b", "-a", "/b", "/a"}; !slices.Equal(ran, want) {
		t.Errorf("%q, want %q", ran, want)
	}
	if shadow := choice.Places[0].Everyone[1]; shadow.Judged(ReasonForbidden) != 1 || shadow.Judged(ReasonNone) != 0 {
		t.Error("the shadow's verdict was not counted")
	}
}

func TestEveryReasonIsWhole(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for reason := ReasonNone + 1; reason < reasonCount; reason++ {
		info := reason.Info()
		if info.Name == "" || info.Title == "" || info.Status < 400 || info.Status > 599 || info.GRPC < 1 || info.GRPC > 16 || seen[info.Name] {
			t.Errorf("reason %d: %+v", reason, info)
		}
		seen[info.Name] = true
	}
	if names := ReasonNames(); len(names) != int(reasonCount) || names[0] != "" || names[ReasonNoRoute] != "no_route" {
		t.Error(names)
	}
}

func BenchmarkChain(b *testing.B) {
	quiet := func(name string, phase Phase) *Policy { return NewPolicy(name, "", phase, false, silent{}) }
	fixed := []Choice{
		{Phase: Authentication, Places: [3]*Bindings{{Everyone: []*Policy{quiet("a", Authentication)}}}},
		{Phase: Limit, Cumulative: true, Places: [3]*Bindings{{Everyone: []*Policy{quiet("b", Limit)}}}},
	}
	personal := append(slices.Clone(fixed), Choice{Phase: Transformation, Places: [3]*Bindings{
		{Consumers: map[string][]*Policy{"acme": {quiet("c", Transformation)}}}, nil, {Everyone: []*Policy{quiet("d", Transformation)}},
	}})
	for name, choices := range map[string][]Choice{"fixed": fixed, "by caller": personal} {
		b.Run(name, func(b *testing.B) {
			chain, x, plans := NewChain(choices), &Exchange{}, planTable{"gold": {quiet("p", Limit)}}
			b.ReportAllocs()
			for b.Loop() {
				x.Reset()
				x.Caller = Caller{Consumer: "acme", Plan: "gold"}
				if chain.Request(x, plans).Refused() {
					b.Fatal("refused")
				}
				chain.Response(x)
			}
		})
	}
}

type silent struct{}

func (silent) OnRequest(*Exchange) Verdict { return Continue() }
