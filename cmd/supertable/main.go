// Command supertable is SuperTable's command line.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"github.com/supertable-go/supertable/internal/cli"
)

func main() {
	// A reader that goes away is an error of the write, not our death.
	signal.Ignore(syscall.SIGPIPE)
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	go func() {
		<-ctx.Done()
		stop() // a second signal ends the program at once
	}()
	os.Exit(cli.Run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}
