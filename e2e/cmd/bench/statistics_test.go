package main

import (
	"slices"
	"testing"
)

func TestSpread(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		values []float64
		want   spread
	}{
		{nil, spread{}},
		{[]float64{3}, spread{3, 3, 3}},
		{[]float64{3, 1, 2}, spread{2, 1, 3}},
		{[]float64{4, 1, 2, 3}, spread{2.5, 1, 4}},
	} {
		if got := spreadOf(c.values); got != c.want {
			t.Errorf("the spread of %v is %v, not %v", c.values, got, c.want)
		}
	}
}

func TestRatiosAreTakenRoundByRound(t *testing.T) {
	t.Parallel()
	// The machine was half as fast in the second round: the ratio is the same.
	if got := ratios([]float64{20, 40}, []float64{10, 20}); !slices.Equal(got, []float64{2, 2}) {
		t.Errorf("got %v", got)
	}
	if got := ratios([]float64{20, 40, 60}, []float64{10, 0}); !slices.Equal(got, []float64{2}) {
		t.Errorf("without a base there is no ratio, got %v", got)
	}
}

func TestQuantile(t *testing.T) {
	t.Parallel()
	hundred := make([]float64, 100)
	for i := range hundred {
		hundred[i] = float64(i + 1)
	}
	for q, want := range map[float64]float64{0: 1, 0.5: 50, 0.99: 99, 0.999: 100, 1: 100} {
		if got := quantile(hundred, q); got != want {
			t.Errorf("quantile %g is %g, not %g", q, got, want)
		}
	}
	if got := quantile(nil, 0.5); got != 0 {
		t.Errorf("the quantile of nothing is %g", got)
	}
}
