package local

import (
	"errors"
	"fmt"
	"io"
	"os/exec"
	"sync"
	"syscall"
)

// guard ends process groups whose owner died without stopping them, even by SIGKILL. It is a shell in a session of its
// own whose input is a pipe that only the owner holds: when the owner is gone, however it went, the kernel closes the
// pipe, and the shell signals every group that is still on its list, politely and then not.
//
// The kernel's own way on Linux (PR_SET_PDEATHSIG) is not used: it follows the thread that forked rather than the
// process, does not reach grandchildren, and does not exist on macOS.
type guard struct {
	command *exec.Cmd

	mu    sync.Mutex
	input io.WriteCloser
}

// guardScript reads lines "add SIGNAL GROUP" and "remove - GROUP". Only POSIX sh and a sleep that takes fractions.
const guardScript = `
trap '' HUP INT TERM
list=
while read -r verb signal group; do
  kept=
  for entry in $list; do
    [ "${entry#*:}" = "$group" ] || kept="$kept $entry"
  done
  list=$kept
  [ "$verb" = add ] && list="$list $signal:$group"
done
for entry in $list; do
  kill -s "${entry%%:*}" -- "-${entry#*:}"
  kill -s CONT -- "-${entry#*:}"
done
turns=50
while [ "$turns" -gt 0 ]; do
  left=
  for entry in $list; do
    kill -s 0 -- "-${entry#*:}" && left="$left $entry"
  done
  [ -z "$left" ] && exit 0
  list=$left
  turns=$((turns - 1))
  sleep 0.1
done
for entry in $list; do
  kill -s KILL -- "-${entry#*:}"
done
`

func newGuard() (*guard, error) {
	command := exec.Command("/bin/sh", "-c", guardScript, "tidegate-guard") //nolint:noctx // close ends it
	command.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	command.Dir = "/"
	input, err := command.StdinPipe()
	if err != nil {
		return nil, fmt.Errorf("making the guard's pipe: %w", err)
	}
	if err := command.Start(); err != nil {
		return nil, fmt.Errorf("starting the guard process: %w", err)
	}
	return &guard{command: command, input: input}, nil
}

// add puts a process group on the list, with the name of the signal that asks it to end ("TERM").
func (g *guard) add(group int, signal string) error {
	return g.tell("add", signal, group)
}

// remove takes a group that has ended off the list. A guard that is gone has nothing to forget.
func (g *guard) remove(group int) {
	_ = g.tell("remove", "-", group)
}

func (g *guard) tell(verb, signal string, group int) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if _, err := fmt.Fprintln(g.input, verb, signal, group); err != nil {
		return fmt.Errorf("telling the guard process about %d: %w", group, err)
	}
	return nil
}

// close ends the guard, and with it whatever is still on its list.
func (g *guard) close() error {
	g.mu.Lock()
	err := g.input.Close()
	g.mu.Unlock()
	return errors.Join(err, g.command.Wait())
}
