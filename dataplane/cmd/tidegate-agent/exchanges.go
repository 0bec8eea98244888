package main

const (
	// exchangeMemory is what one request costs that waits for its service, generously, and exchangeShare which part of the memory
	// limit may be taken so.
	exchangeMemory = 32 << 10
	exchangeShare  = 8
	// Bounds of what is derived, and what is allowed for each processor where memory is not limited.
	fewestExchanges       = 1_000
	mostDerivedExchanges  = 100_000
	exchangesOfProcessors = 10_000
)

// mostExchanges is how many requests may be served at once: what was asked for, else what there is room for; 0 is any number.
func mostExchanges(asked int, memory int64, processors int) int {
	switch {
	case asked > 0:
		return asked
	case asked < 0:
		return 0
	case memory > 0:
		return int(min(max(memory/exchangeShare/exchangeMemory, fewestExchanges), mostDerivedExchanges))
	}
	return min(exchangesOfProcessors*processors, mostDerivedExchanges)
}
