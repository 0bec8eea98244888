// Package evidence is the sequential comparison that judges a rollout: counts
// of bad requests in two arms go in, and the evidence that the candidate is
// worse, a verdict and an interval come out. The agent's guard and the control
// plane's judge both use it, so that they can never disagree about the
// mathematics. It is pure: no clock, no I/O, no goroutine, no log, and nothing
// but the standard library. It knows nothing of gateways, metrics or messages.
//
// # What is compared
//
// Every metric is a yes-or-no question about a request ("answered with 5xx",
// "refused by the gateway", "slower than the control's p95"). A request for
// which the answer is yes is called bad. Each request was sent to the candidate
// by an independent coin of known probability ρ, the share of the candidate,
// else to the control. If the candidate changes nothing, a bad request is one of
// the candidate's with probability ρ, whatever made it bad and however the bad
// requests depend on each other: a burst, a broken client, an upstream that is
// down hit both arms alike. This is why ρ is used and not the observed numbers
// of requests, and why only requests count whose arm was thrown. If an arm was
// thrown once for a unit (a session, a consumer) instead of for each request,
// count units, not requests, and when the share grows only those whose coin is
// thrown anew, by [FreshShare].
//
// If a request is r times as likely to be bad in the candidate as in the
// control, a bad request is the candidate's with odds r·ρ/(1−ρ), so with
// probability
//
//	p(r) = rρ / (rρ + 1 − ρ).
//
// The null hypothesis says that r is at most the tolerance t (1.1: a tenth more
// is accepted). Against one alternative r > t, a batch with k_c bad requests in
// the candidate and k_s in the control multiplies the likelihood ratio by
//
//	(p(r)/p(t))^k_c · ((1−p(r))/(1−p(t)))^k_s.
//
// Given what happened before, this factor has expectation 1 when the true ratio
// is t and less when it is smaller, because it grows with k_c. The product over
// all batches is therefore a non-negative supermartingale that starts at 1, and
// so is the average over a fixed grid of alternatives, which is the evidence E.
// By Ville's inequality
//
//	P(E ever reaches 1/α) ≤ α,
//
// however often one looks and whatever the share does between batches. No
// look-up table, no number of looks to plan, no waiting for a sample size. A
// supermartingale may be stopped when it is convenient: evidence that once
// reached 1/α has failed the candidate, and what it does later changes nothing.
//
// # What is sufficient
//
// With odds ω = ρ/(1−ρ) the logarithm of the factor is
//
//	k_c · (log(1 + 1/(tω)) − log(1 + 1/(rω)))  +  k_s · (log(1 + tω) − log(1 + rω)),
//
// which is linear in (k_c, k_s) and depends otherwise on ρ alone. So:
//
//   - Counts of batches with the same ρ may be added first, over time and over
//     agents, and weighed afterwards: the result is exactly the same. A whole
//     rollout is described by one pair of counts for each (metric, route, ρ),
//     which is what a database keeps and what [Tally] holds.
//   - Counts of different ρ must never be added. Only their log-factors, one sum
//     for each alternative, may be ([Evidence.Merge]). One agent with many
//     errors that happens to hold most of the candidate's traffic would
//     otherwise look like a bad candidate.
//   - The average over the alternatives is taken last.
//
// ρ is kept as an integer number of parts per million, so that "the same ρ" is
// well defined. A share of 0 or of 1 has no second arm and says nothing; such
// batches are ignored. A batch never spans a change of ρ, and a request belongs
// to the batch in which it arrived.
//
// Reports that come late or in another order change nothing about this, as long
// as their delay has nothing to do with the coins. But a judge that weighs sums
// afterwards sees only where the evidence stands, not where it has been: the
// highest value of all looks is kept beside the sums and handed to [Test.Judge].
//
// # How α is spent
//
// α is the probability that a rollout of a harmless candidate is taken back. It
// belongs to the whole rollout and is spent once: evidence is never reset
// between steps, and [Spending] divides α over the judges and the comparisons
// (Bonferroni).
//
// # The interval
//
// The tolerance is one ratio among all. Of any ratio q it can be asked whether the candidate is worse than q, against alternatives
// q·m above it, and also whether it is better, against alternatives q/m below:
//
//	B(q) = mean over m of  ∏ (p(q/m)/p(q))^k_c · ((1−p(q/m))/(1−p(q)))^k_s.
//
// Where the true ratio is q or more at all times, the factor of a batch falls with k_c and has an expectation of at most 1, so B(q) is
// a supermartingale as E is, and P(B(q) ever reaches 1/α) ≤ α. The ratios that neither question has ruled out are a confidence
// sequence: an interval, because both mixtures are monotone in q, that at all times at once holds the true ratio with probability
// 1−2α ([Test.Interval]).
//
// # Passing early
//
// The interval ends below the tolerance exactly when B(t) ≥ 1/α ([Test.ShowsNoWorse]): then the candidate has been shown to be within
// the tolerance, and a step need not wait for the end of its bake time. A candidate that is worse gets as far as that, whenever it is
// looked at, with a probability of at most α. Where several comparisons must all agree, α is not divided: if the candidate is worse
// by one of them, all agree at most as often as that one errs (an intersection-union test). Where one is enough to fail, it is.
//
// It takes long. At a ratio of 1, B(t) grows by the relative entropy of the coins p(1) and p(t) with each bad request, which for t = 1.1 is
// 0.0011 at a share of one half, and 0.0004 at a tenth.
//
// # Who calls what
//
// The agent's guard holds an [Evidence] for each comparison, a [Share] for the
// share of the moment, and calls Add and Exceeds many times a second: no
// allocation, some ten and some hundred nanoseconds. The control plane's judge
// reads a [Tally] and calls [Test.Judge], which also knows the bake time and the
// minimum of requests, and [Decision.Explain] for people. A route without a
// control is for [AbsoluteGate].
//
// # Sources
//
//   - Michael Lindon and Alan Malek, "Anytime-Valid Inference for Multinomial
//     Count Data", NeurIPS 2022.
//   - Michael Lindon, Chris Sanden and Vaché Shirikian, "Rapid Regression
//     Detection in Software Deployments through Sequential Testing", KDD 2022.
//   - Jean Ville, "Étude critique de la notion de collectif", 1939.
//   - Herbert Robbins, "Statistical Methods Related to the Law of the Iterated
//     Logarithm", Annals of Mathematical Statistics 41, 1970: mixtures.
//   - Steven Howard, Aaditya Ramdas, Jon McAuliffe and Jasjeet Sekhon,
//     "Time-uniform, Nonparametric, Nonasymptotic Confidence Sequences", Annals of
//     Statistics 49, 2021.
//   - Roger Berger, "Multiparameter Hypothesis Testing and Acceptance Sampling",
//     Technometrics 24, 1982: intersection-union tests.
//
// The command in cmd/simulate prints false alarms and power for many cases; its
// tables stand in docs/statistics.md.
package evidence
