package main

import (
	"context"
	"fmt"
	"io"
	"os/signal"
	"strings"
	"syscall"

	"nuthatch/internal/config"
	"nuthatch/internal/ctl"
	"nuthatch/internal/preview"
)

// againstRunning is the argument of --against for the proxy whose admin
// listener the file names.
const againstRunning = "running"

// showPreview writes what changes from the configuration of --against to cfg.
func showPreview(f *flags, cfg *config.Config, stdout, stderr io.Writer) int {
	if f.against == againstRunning || strings.Contains(f.against, "://") {
		return previewRunning(f, stdout, stderr)
	}
	old, err := config.Load(f.against)
	if err != nil {
		fmt.Fprintln(stderr, err)
		fmt.Fprintf(stderr, "%s: configuration file '%s' is invalid, nothing to compare with\n", nuthatch, f.against)
		return exitFailure
	}
	report := preview.Compare(old, cfg)
	if err := report.Write(stdout); err != nil {
		fmt.Fprintf(stderr, "%s: %v\n", nuthatch, err)
		return exitFailure
	}
	if report.Warned() {
		return exitWarned
	}
	return 0
}

// previewRunning asks a running proxy what the file would change.
func previewRunning(f *flags, stdout, stderr io.Writer) int {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	return report("-t", askRunning(ctx, f, stdout), stderr)
}

func askRunning(ctx context.Context, f *flags, stdout io.Writer) error {
	meant := targetFlags{confFile: f.confFile}
	if f.against != againstRunning {
		meant.address = f.against
	}
	t, err := meant.target()
	if err != nil {
		return err
	}
	t.ConfigFile = "" // the file is the new one, and the answer names the one that is in force
	client, err := ctl.NewClient(t)
	if err != nil {
		return err
	}
	return ctl.Run(ctx, client, ctl.Options{}, []string{"preview", f.confFile}, stdout)
}
