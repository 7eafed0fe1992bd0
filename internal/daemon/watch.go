package daemon

import (
	"context"
	"crypto/sha256"
	"log/slog"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/fsnotify/fsnotify"

	"nuthatch/internal/config"
	"nuthatch/internal/logging"
	"nuthatch/internal/regularfile"
)

const (
	// watchQuiet is how long a file must be unchanged before it is read: its
	// writer may not be done.
	watchQuiet = 200 * time.Millisecond
	// watchPoll is how often the file is read where the file system does not
	// report changes, as network file systems do not.
	watchPoll = 5 * time.Second
	// maxWatched is the most bytes of a file that is watched.
	maxWatched = 64 << 20
)

// A watcher reloads the configuration when its file changes, or a file of users that it
// names. What counts is the content at the file's path. The file may be written, renamed into place, or
// reached by a symbolic link that changes, as a ConfigMap's "..data" does.
type watcher struct {
	// static after the start
	file   string          // empty: there is none
	others func() []string // the files that the configuration in force includes, and those of users
	log    *logging.Logger
	reload func() // tells the log what goes wrong

	mu     sync.Mutex
	cancel context.CancelFunc // nil: not watching
	done   chan struct{}
}

// watch begins or ends to watch the file, as the configuration has it. sum is that of the
// files before they were read: a change since then is one.
func (w *watcher) watch(on bool, sum [sha256.Size]byte) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if on == (w.cancel != nil) || w.file == "" {
		return
	}
	if !on {
		w.cancel()
		w.cancel = nil
		return
	}
	ctx, cancel := context.WithCancel(context.Background())
	w.cancel, w.done = cancel, make(chan struct{})
	go w.reloadOnChange(ctx, w.done, sum)
}

// paths are the files that are watched.
func (w *watcher) paths() []string { return append([]string{w.file}, w.others()...) }

// sumOf is the sum of the files of a configuration. It is to be taken before they are read.
func (w *watcher) sumOf(conf *config.Config) [sha256.Size]byte {
	return fileSum(append([]string{w.file}, otherFiles(conf)...)...)
}

// otherFiles are the files that a configuration needs beside its own.
func otherFiles(conf *config.Config) []string {
	return append(conf.Files(), userFiles(conf)...)
}

// stop ends the watch and waits for the reload that may be under way.
func (w *watcher) stop() {
	w.mu.Lock()
	cancel, done := w.cancel, w.done
	w.cancel = nil
	w.mu.Unlock()
	if cancel != nil {
		cancel()
		<-done
	}
}

// reloadOnChange reloads the file whenever its content has changed; sum is that of the
// first.
func (w *watcher) reloadOnChange(ctx context.Context, done chan<- struct{}, sum [sha256.Size]byte) {
	defer close(done)
	var events chan fsnotify.Event // never ready, without a notifier
	notifier, err := newNotifier(w.paths())
	if err != nil {
		w.log.Warn("cannot watch the configuration file: it is read at intervals instead",
			slog.Duration("every", watchPoll), errAttr(err))
	} else {
		defer notifier.Close()
		events = notifier.Events
	}
	poll := time.NewTicker(watchPoll)
	defer poll.Stop()
	var quiet <-chan time.Time
	var refused []string
	for {
		select {
		case <-ctx.Done():
			return
		case <-events:
			quiet = time.After(watchQuiet)
			continue
		case <-poll.C:
		case <-quiet:
		}
		paths := append(w.paths(), refused...)
		now, ok := unlessEnded(ctx, func() [sha256.Size]byte { return fileSum(paths...) })
		if !ok {
			return
		}
		if now != sum {
			sum = now
			w.reload()
			// A file whose reload was refused may include others than the one in force.
			after := w.paths()
			included, ok := unlessEnded(ctx, func() []string { return config.IncludedBy(w.file) })
			if !ok {
				return
			}
			refused = slices.DeleteFunc(included, func(path string) bool { return slices.Contains(after, path) })
			after = append(after, refused...)
			if !slices.Equal(paths, after) {
				// What the reload has read of the new files is not known: it reads them again.
				sum, quiet = [sha256.Size]byte{}, time.After(watchQuiet)
			}
			if notifier != nil {
				watchPlaces(notifier, after)
			}
		}
	}
}

func newNotifier(paths []string) (*fsnotify.Watcher, error) {
	n, err := fsnotify.NewWatcher()
	if err != nil {
		return nil, err
	}
	go func() {
		for range n.Errors { // an overflow: the next look finds what was missed
			continue
		}
	}()
	watchPlaces(n, paths)
	return n, nil
}

// watchPlaces watches the folders of the files, and those that their links lead
// to. A directory that cannot be watched is read at intervals.
func watchPlaces(n *fsnotify.Watcher, paths []string) {
	for _, file := range paths {
		_ = n.Add(filepath.Dir(file))
		if target, err := filepath.EvalSymlinks(file); err == nil {
			_ = n.Add(filepath.Dir(target))
		}
	}
}

// fileSum identifies the contents at paths. All files that cannot be read have the same
// sum.
func fileSum(paths ...string) [sha256.Size]byte {
	all := sha256.New()
	for _, path := range paths {
		sum := [sha256.Size]byte{}
		if text, err := regularfile.Read(path, maxWatched); err == nil {
			sum = sha256.Sum256(text)
		}
		all.Write(sum[:])
	}
	return [sha256.Size]byte(all.Sum(nil))
}
