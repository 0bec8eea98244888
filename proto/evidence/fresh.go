package evidence

// FreshShare returns the probability of the candidate, in parts per million, for a unit that did not have it at an earlier share,
// when the shares are nested: who had the candidate keeps it. Such a unit's coin is thrown anew, whatever is known of the others;
// that of a unit that had the candidate is not, so it has nothing to tell and is not to be counted. The probability is rounded up,
// which never makes a candidate look worse. It is 0 if no coin is thrown anew.
func FreshShare(sharePPM, settledPPM uint32) uint32 {
	if settledPPM >= sharePPM || sharePPM > WholePPM {
		return 0
	}
	fresh, rest := uint64(sharePPM-settledPPM), uint64(WholePPM-settledPPM)
	return uint32((fresh*WholePPM + rest - 1) / rest)
}
