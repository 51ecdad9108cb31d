// Command kargo-secrets opens encrypted files and references for kargo, which starts it
// where a workspace has any. It takes no arguments: keys and files come from the standard
// input, and plain content goes to the standard output. See docs/secrets.md.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"golang.org/x/sys/unix"

	"kargo/secrets"
	"kargo/secrets/opener"
)

func main() {
	if len(os.Args) > 1 {
		fmt.Fprintln(os.Stderr, "kargo-secrets is started by kargo, and takes no arguments; see docs/secrets.md")
		os.Exit(2)
	}
	ctx, cancel := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	err := serve(ctx)
	cancel()
	if err != nil {
		fmt.Fprintln(os.Stderr, "kargo-secrets:", err)
		os.Exit(1)
	}
}

// serve answers until the input ends. No other process of the user may read the memory of
// this one, which has keys and secrets, and none of it is written to a core file.
func serve(ctx context.Context) error {
	if err := unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0); err != nil {
		return fmt.Errorf("hide the memory of this process: %w", err)
	}
	return secrets.Serve(ctx, os.Stdin, os.Stdout, opener.Start)
}
