package overload

// Criticality says what goes first when not all can be served.
type Criticality uint8

// The criticalities, from what is refused last to what is refused first. The zero value is the usual one.
const (
	Default Criticality = iota
	Critical
	Sheddable
	criticalities
)

// reserved is the share of a limit, in percent, that a criticality leaves to those above it. As with trunk reservation in
// telephone networks, a small reserve is enough to give strict precedence while the limit is full.
var reserved = [criticalities]int32{Critical: 0, Default: 5, Sheddable: 20}

// byImportance is the order in which those who wait are let in.
var byImportance = [criticalities]Criticality{Critical, Default, Sheddable}

// room is how many exchanges may run for one more of this criticality to be let in.
func (c Criticality) room(limit int32) int32 {
	reserve := (limit*reserved[c] + 99) / 100
	return max(1, limit-reserve)
}

// above tells whether c goes before other.
func (c Criticality) above(other Criticality) bool { return reserved[c] < reserved[other] }
