package identity

import "fmt"

// Role is how much somebody may do. A higher role may do all that a lower one may.
type Role int

// The roles. The zero value may do nothing.
const (
	// Nobody is who did not say who they are.
	Nobody Role = iota
	// Viewer may read everything but secrets, which nobody may.
	Viewer
	// Publisher may change configuration, keys and rollouts.
	Publisher
	// Admin may also manage fleets, agents and tokens.
	Admin
)

var roleNames = [...]string{Nobody: "", Viewer: "viewer", Publisher: "publisher", Admin: "admin"}

// String is the role's name as it stands in the API and in the store.
func (r Role) String() string {
	if r < Nobody || r > Admin {
		return fmt.Sprintf("role %d", int(r))
	}
	return roleNames[r]
}

// ParseRole is the role of that name.
func ParseRole(name string) (Role, error) {
	for role := Viewer; role <= Admin; role++ {
		if roleNames[role] == name {
			return role, nil
		}
	}
	return Nobody, fmt.Errorf("there is no role %q", name)
}
