package ppms

import (
	"context"
	"errors"
	"net/url"
	"time"

	"github.com/cenkalti/backoff/v5"
)

const (
	maxTries = 4
	// maxRetryAfter is the longest time that a read waits because the server asks for it; longer is a failure of the run.
	maxRetryAfter = 2 * time.Minute
)

// read sends a request that changes nothing, again if need be, and parses its answer.
func read[T any](ctx context.Context, r *Reader, action string, form url.Values, parse func(text string) (T, error)) (T, error) {
	waits := &pace{BackOff: newBackOff(r.firstWait)}
	var last *Error
	result, err := backoff.Retry(ctx, func() (T, error) {
		result, err := once(ctx, r, r.pool, call{action: action, form: form}, parse)
		if errors.As(err, &last) {
			if !last.Retryable() {
				return result, backoff.Permanent(err)
			}
			waits.asked = last.After
		}
		return result, err
	}, backoff.WithBackOff(waits), backoff.WithMaxTries(maxTries), backoff.WithMaxElapsedTime(0))
	if err == nil {
		return result, nil
	}
	if typed, ok := errors.AsType[*Error](err); ok {
		return result, typed
	}
	// The context ended, maybe while waiting.
	stopped := *last
	stopped.Err = err
	if !errors.Is(last, err) {
		stopped.Detail += "; stopped: " + err.Error()
	}
	return result, &stopped
}

// readOne reads about one thing; false if PPMS has none, of which it says nothing.
func readOne[T any](
	ctx context.Context, r *Reader, action string, form url.Values, parse func(text string) (T, error),
) (value T, found bool, err error) {
	value, err = read(ctx, r, action, form, func(text string) (none T, err error) {
		if found = text != ""; !found {
			return none, nil
		}
		return parse(text)
	})
	return value, found && err == nil, err
}

func newBackOff(first time.Duration) backoff.BackOff {
	b := backoff.NewExponentialBackOff()
	b.InitialInterval, b.Multiplier, b.MaxInterval = first, 2, 10*first
	return b
}

// pace waits as long as the server asked, if it did and that is not too long, and as long as the back-off says else.
type pace struct {
	backoff.BackOff
	asked time.Duration
}

// NextBackOff is the time before the next try.
func (p *pace) NextBackOff() time.Duration {
	usual := p.BackOff.NextBackOff()
	if p.asked > maxRetryAfter {
		return backoff.Stop
	}
	return max(usual, p.asked)
}
