package pattern

import "cmp"

// rank is the place in the order of one alternative of a rule.
type rank struct {
	priority   int32
	host       Host
	path       Path
	conditions int
}

func (r Rule) rank(a Alternative) rank {
	return rank{priority: r.Priority, host: a.Host, path: a.Path, conditions: r.Conditions()}
}

// compare is negative if r goes before other.
func (r rank) compare(other rank) int {
	return cmp.Or(
		-cmp.Compare(r.priority, other.priority),
		CompareHosts(r.host, other.host),
		ComparePaths(r.path, other.path),
		-cmp.Compare(r.conditions, other.conditions),
	)
}
