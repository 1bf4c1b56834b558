package maintain

import (
	"context"
	"log/slog"
	"sync"
	"time"
)

// Service runs maintenance again and again in the background of a process.
type Service struct {
	// Every is the pause between two runs. The first run comes after one.
	Every time.Duration
	// Run is one run. Its error is logged, and the next run comes all the same.
	Run    func(context.Context) error
	Logger *slog.Logger

	mu   sync.Mutex
	stop context.CancelFunc // guarded by mu; nil while it does not run
	done chan struct{}
}

// Start starts the service; once started, it does nothing.
func (s *Service) Start() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stop != nil {
		return
	}
	ctx, stop := context.WithCancel(context.Background())
	s.stop, s.done = stop, make(chan struct{})
	go s.loop(ctx, s.done)
}

// Stop ends the service and waits for what it is doing. It may be called when
// nothing runs.
func (s *Service) Stop() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stop == nil {
		return
	}
	s.stop()
	<-s.done
	s.stop = nil
}

func (s *Service) loop(ctx context.Context, done chan struct{}) {
	defer close(done)
	tick := time.NewTicker(s.Every)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			if err := s.Run(ctx); err != nil && ctx.Err() == nil {
				s.Logger.Warn("maintenance failed; it is tried again", slog.String("error", err.Error()))
			}
		}
	}
}
