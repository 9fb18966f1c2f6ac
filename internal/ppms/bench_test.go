package ppms

import (
	"net/http"
	"testing"
	"time"
)

// BenchmarkRecords reads a facility of 1,500 accounts from a server that takes 50 ms for each. The metric ideal-ratio is the
// time over that of a client which loses none: 1.3 is the target, 1 is perfect.
func BenchmarkRecords(b *testing.B) {
	const accounts, latency, concurrency = 1500, 50 * time.Millisecond, 8
	answer := directory(func(int) bool { return true })
	l := newLab(b, func(w http.ResponseWriter, req *http.Request) {
		timer := time.NewTimer(latency)
		defer timer.Stop()
		<-timer.C
		answer(w, req)
	}, func(o *Options) { o.Concurrency, o.Log = concurrency, nil })
	names := logins(accounts)
	for b.Loop() {
		users, _, err := l.Records(b.Context(), names, nil)
		if err != nil || len(users) != accounts {
			b.Fatal(len(users), err)
		}
	}
	ideal := accounts * latency / concurrency
	b.ReportMetric(float64(b.Elapsed())/float64(b.N)/float64(ideal), "ideal-ratio")
}
