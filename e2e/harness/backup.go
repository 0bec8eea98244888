package harness

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"
)

// Backup copies all data of Postgres to a folder, as they are at one moment. Postgres is down meanwhile.
func (s *Stack) Backup(folder string) {
	s.t.Helper()
	s.withoutPostgres(func(data string) { s.copyTree(data, folder) })
}

// Restore puts the data of Backup back, and starts every replica of the control plane anew.
func (s *Stack) Restore(folder string) {
	s.t.Helper()
	s.withoutPostgres(func(data string) {
		for _, replica := range s.Ready.Replicas {
			s.Kill(replica.Name, syscall.SIGKILL)
		}
		if err := os.RemoveAll(data); err != nil {
			s.t.Fatalf("removing the data of Postgres: %v", err)
		}
		s.copyTree(folder, data)
	})
	s.WaitRestarted(s.Ready.Replicas[0].Name)
}

// withoutPostgres does something with the data of Postgres while it is down and `tidegate up`, which would start it again, stands still.
func (s *Stack) withoutPostgres(do func(data string)) {
	s.t.Helper()
	pid, err := s.postgresPID()
	if err != nil {
		s.t.Fatalf("finding postgres: %v", err)
	}
	if err := s.up.Process.Signal(syscall.SIGSTOP); err != nil {
		s.t.Fatalf("stopping tidegate up for a moment: %v", err)
	}
	defer func() { _ = s.up.Process.Signal(syscall.SIGCONT) }()
	backends, err := descendants(s.t.Context(), pid)
	if err != nil {
		s.t.Fatalf("listing the processes of Postgres: %v", err)
	}
	s.Kill("postgres", syscall.SIGKILL)
	Eventually(s.t, 20*time.Second, "Postgres is down", func() error {
		for _, one := range append(backends, pid) {
			if alive(one) {
				return errors.New("a process of it is left")
			}
		}
		return nil
	})
	do(filepath.Join(s.dir, "postgres", "data"))
}

func (s *Stack) copyTree(from, to string) {
	s.t.Helper()
	// cp keeps the owner, which Postgres insists on.
	if out, err := exec.CommandContext(s.t.Context(), "cp", "-a", from, to).CombinedOutput(); err != nil {
		s.t.Fatalf("copying %s: %v: %s", from, err, out)
	}
}
