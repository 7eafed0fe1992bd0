package daemon

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"strings"

	"golang.org/x/sys/unix"

	"nuthatch/internal/admin"
	"nuthatch/internal/config"
	"nuthatch/internal/dashboard"
	"nuthatch/internal/socket"
)

const (
	// adminBacklog is how many clients of the admin listener may wait.
	adminBacklog = 128
	// adminMode is the mode of its unix socket if the file says nothing.
	adminMode = 0o600
	// maxToken is the most bytes that are read of a token's file.
	maxToken = 4096
)

// errNoToken means that the file for it holds none.
var errNoToken = errors.New("the file holds no token")

// readTokens are the tokens that conf names.
func readTokens(conf *config.Process) ([]config.Secret, error) {
	var tokens []config.Secret
	if conf.AdminToken != "" {
		tokens = append(tokens, conf.AdminToken)
	}
	if conf.AdminTokenFile == "" {
		return tokens, nil
	}
	f, err := os.Open(conf.AdminTokenFile)
	if err != nil {
		return nil, fmt.Errorf("admin_token_file: %w", err)
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxToken))
	token := strings.TrimSpace(string(text))
	if err == nil && token == "" {
		err = errNoToken
	}
	if err != nil {
		return nil, fmt.Errorf("admin_token_file: %s: %w", conf.AdminTokenFile, err)
	}
	return append(tokens, config.Secret(token)), nil
}

// openAdmin opens the admin listener that conf asks for; nil if there is to be
// none, or if the address is the default, which nobody asked for, and is taken.
func (in *Instance) openAdmin(conf *config.Process) (*admin.HTTPPort, error) {
	if conf.Admin.Network == "" {
		return nil, nil
	}
	listener, err := in.listenAdmin(conf.Admin)
	switch {
	case err == nil:
		return admin.NewHTTP(listener, conf.Admin, admin.HTTPOptions{
			Instance: in, Logger: in.log, Page: dashboard.Handler(),
			Tokens: func() []config.Secret { return in.current.Load().tokens },
		}), nil
	case !conf.AdminWritten && errors.Is(err, unix.EADDRINUSE):
		in.log.Notice("no admin listener: its default address is taken, and the configuration names no other",
			slog.String("addr", conf.Admin.String()))
		return nil, nil
	}
	return nil, fmt.Errorf("admin listener: listen on '%s': %w", conf.Admin, in.takenBy(err, conf.Admin))
}

func (in *Instance) listenAdmin(addr config.Address) (net.Listener, error) {
	spec := socket.ListenSpec{Path: addr.Path, Mode: addr.Mode, Host: addr.Host, Port: addr.Port, Backlog: adminBacklog}
	if spec.Mode == 0 {
		spec.Mode = adminMode
	}
	fd, err := in.opts.inherited.listenOn(context.Background(), spec)
	if err != nil {
		return nil, err
	}
	f := os.NewFile(uintptr(fd), addr.String())
	defer f.Close() // FileListener has its own
	return net.FileListener(f)
}

// serveAdmin puts h in the place of the admin listener; nil is none.
func (in *Instance) serveAdmin(h *admin.HTTPPort) {
	if h != nil {
		h.OwnPath(true)
		h.Serve()
	}
	if old := in.adminPort.Swap(h); old != nil {
		old.Leave()
	}
}

// AdminAddr is the address of the admin listener, or nil.
func (in *Instance) AdminAddr() net.Addr {
	if h := in.adminPort.Load(); h != nil {
		return h.Addr()
	}
	return nil
}

// changeAdmin opens the admin listener for conf, if that is not the one that
// there is. changed is false if it is.
func (in *Instance) changeAdmin(old, conf *config.Process) (h *admin.HTTPPort, changed bool, err error) {
	there := in.adminPort.Load() != nil
	switch {
	case there && old.Admin == conf.Admin, !there && conf.Admin.Network == "":
		return nil, false, nil
	case there && old.Admin.String() == conf.Admin.String():
		mode := conf.Admin.Mode
		if mode == 0 {
			mode = adminMode
		}
		return nil, false, os.Chmod(conf.Admin.Path, mode)
	}
	h, err = in.openAdmin(conf)
	return h, true, err
}

// closeAdmin ends an admin listener, if there is one.
func closeAdmin(h *admin.HTTPPort) {
	if h != nil {
		h.Close()
	}
}
