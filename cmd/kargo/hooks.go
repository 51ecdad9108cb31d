package main

import (
	"errors"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"kargo/compile"
	"kargo/hooks"
)

// hookFlags say whether the workspace's own scripts may run.
type hookFlags struct {
	allowed bool
	timeout time.Duration
	user    hookUser
	runner  *hooks.Runner // one for all: it remembers what ran
}

func (h *hookFlags) flags(flags *pflag.FlagSet) {
	flags.BoolVar(&h.allowed, "allow-hooks", false, "run the workspace's hooks (deploy/*_before.sh, *_after.sh), and its environment files that run programs")
	flags.Var(&h.user, "hook-user", "user that hooks run as, by `number`[:GROUP], or \"same\" for Kargo's own; only root can choose another; as root the default is 65534 (nobody)")
	flags.DurationVar(&h.timeout, "hook-timeout", hooks.DefaultTimeout, "time limit of one hook or environment file")
}

// set lets a compiler run a workspace's hooks, if they are allowed.
func (h *hookFlags) set(compiler *compile.Compiler) {
	compiler.Hooks = hooks.Refuse
	if runner := h.theRunner(); runner != nil {
		compiler.Hooks, compiler.Shell = runner.Before, runner.Environment
	}
}

// theRunner returns the one runner of hooks; nil where none may run.
func (h *hookFlags) theRunner() *hooks.Runner {
	if h.allowed && h.runner == nil {
		h.runner = &hooks.Runner{Timeout: h.timeout, User: h.user.of(os.Geteuid())}
	}
	return h.runner
}

// sameUser is the value of --hook-user for Kargo's own user.
const sameUser = "same"

// nobody is the user that hooks run as where Kargo runs as root: it owns nothing.
var nobody = hooks.User{UID: 65534, GID: 65534}

// hookUser is the value of --hook-user: "" is the default, and "same" Kargo's own.
type hookUser string

// String implements pflag.Value.
func (u *hookUser) String() string { return string(*u) }

// Type implements pflag.Value.
func (u *hookUser) Type() string { return "number" }

// Set implements pflag.Value.
func (u *hookUser) Set(text string) error {
	if _, err := parseUser(text); err != nil && text != sameUser && text != "" {
		return err
	}
	*u = hookUser(text)
	return nil
}

// parseUser reads NUMBER or NUMBER:GROUP. Without a group, it has the same number.
func parseUser(text string) (hooks.User, error) {
	user, group, given := strings.Cut(text, ":")
	if !given {
		group = user
	}
	uid, err := strconv.ParseUint(user, 10, 31)
	gid, err2 := strconv.ParseUint(group, 10, 31)
	if errors.Join(err, err2) != nil {
		return hooks.User{}, errors.New("it takes a number, NUMBER:GROUP or same")
	}
	return hooks.User{UID: uint32(uid), GID: uint32(gid)}, nil
}

// of returns the user that hooks run as in a process of a user; nil for the same one.
func (u *hookUser) of(own int) *hooks.User {
	switch {
	case *u == sameUser, *u == "" && own != 0:
		return nil
	case *u == "":
		return &nobody
	}
	user, err := parseUser(string(*u))
	if err != nil || int(user.UID) == own { // Set has checked it
		return nil
	}
	return &user
}
