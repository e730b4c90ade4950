// Package ledger keeps campaigns and their rows in Redis. It is the only truth about what was sent: a queue may
// repeat, delay or lose its hints, a provider may lie, and the ledger still says for every row of a file in which
// one state it is.
//
// A campaign is written once (its definition, its encryption key and its pages of at most 256 rows) and then
// changes only through the scripts in lua/, each of which states its invariants. All keys of a campaign share the
// hash tag {<campaign>}, so that a campaign lives on one cluster slot and a script never needs two.
package ledger

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	_ "embed"
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
)

// Errors that callers branch on.
var (
	// ErrNoCampaign means that the ledger holds no campaign of that id.
	ErrNoCampaign = errors.New("no such campaign")
	// ErrCorrupt means that a stored value is not what the ledger wrote. Nothing is guessed: the row or page stays
	// as it is.
	ErrCorrupt = errors.New("stored value is damaged")
	// ErrFenced means that a settle came from an attempt that is no longer the row's last one, or that the row
	// already has a definite result.
	ErrFenced = errors.New("a later attempt or a definite result is already recorded")
	// ErrMasterKey means that this process has another master key than those that launched the campaigns.
	ErrMasterKey = errors.New("the campaigns of this Redis have another MASTER_KEY")
	// ErrConflict means that a campaign of that id exists with another definition or other pages.
	ErrConflict = errors.New("campaign exists with other content")
)

// Ledger reads and writes campaigns in one Redis. It is safe for concurrent use.
type Ledger struct {
	rdb  redis.UniversalClient
	keys *keyring

	mu          sync.Mutex
	definitions map[string]*Campaign // immutable once written, so they are read once
}

// New returns a Ledger on rdb. The master key (32 bytes) wraps the key of every campaign; whoever loses it loses the
// people in all pages, and no state.
func New(rdb redis.UniversalClient, masterKey []byte) (*Ledger, error) {
	ring, err := newKeyring(masterKey)
	if err != nil {
		return nil, err
	}
	return &Ledger{rdb: rdb, keys: ring, definitions: make(map[string]*Campaign)}, nil
}

// Ping reports whether Redis answers.
func (l *Ledger) Ping(ctx context.Context) error {
	if err := l.rdb.Ping(ctx).Err(); err != nil {
		return fmt.Errorf("ping redis: %w", err)
	}
	return nil
}

// Now is Redis's clock, the only one that decides.
func (l *Ledger) Now(ctx context.Context) (time.Time, error) {
	now, err := l.rdb.Time(ctx).Result()
	if err != nil {
		return time.Time{}, fmt.Errorf("read clock: %w", err)
	}
	return now, nil
}

// RunID names the run of the Redis that answers: another one after a restart or a failover. "" where it does not say.
func (l *Ledger) RunID(ctx context.Context) (string, error) {
	text, err := l.rdb.Info(ctx, "server").Result()
	if _, refused := errors.AsType[redis.Error](err); refused {
		return "", nil // miniredis
	}
	if err != nil {
		return "", fmt.Errorf("ask which run of redis it is: %w", err)
	}
	for line := range strings.Lines(text) {
		if id, ok := strings.CutPrefix(strings.TrimSpace(line), "run_id:"); ok {
			return id, nil
		}
	}
	return "", nil
}

//go:embed lua/run.lua
var runLua string

//go:embed lua/record.lua
var recordLua string

//go:embed lua/claim.lua
var claimLua string

//go:embed lua/release.lua
var releaseLua string

//go:embed lua/settle.lua
var settleLua string

//go:embed lua/expire.lua
var expireLua string

//go:embed lua/decide.lua
var decideLua string

//go:embed lua/recount.lua
var recountLua string

//go:embed lua/beat.lua
var beatLua string

//go:embed lua/leave.lua
var leaveLua string

//go:embed lua/hold.lua
var holdLua string

//go:embed lua/strain.lua
var strainLua string

//go:embed lua/commit.lua
var commitLua string

//go:embed lua/steer.lua
var steerLua string

//go:embed lua/feed.lua
var feedLua string

//go:embed lua/index.lua
var indexLua string

var (
	claimScript   = redis.NewScript(runLua + recordLua + claimLua)
	releaseScript = redis.NewScript(recordLua + releaseLua)
	settleScript  = redis.NewScript(runLua + recordLua + settleLua)
	expireScript  = redis.NewScript(runLua + recordLua + expireLua)
	recountScript = redis.NewScript(runLua + recordLua + recountLua)
	decideScript  = redis.NewScript(recordLua + decideLua)
	beatScript    = redis.NewScript(runLua + beatLua)
	commitScript  = redis.NewScript(runLua + commitLua)
	steerScript   = redis.NewScript(runLua + steerLua)
	leaveScript   = redis.NewScript(runLua + leaveLua)
	holdScript    = redis.NewScript(holdLua)
	strainScript  = redis.NewScript(strainLua)
	feedScript    = redis.NewScript(feedLua)
	indexScript   = redis.NewScript(indexLua)
)

// Keys outside any campaign. Scripts never touch them together with a campaign's keys.
const (
	campaignsKey = "pregon:campaigns" // sorted set: campaign → creation, unix milliseconds
	activeKey    = "pregon:active"    // set: campaigns that workers must look at
	nudgeChannel = "pregon:nudge"     // pub/sub: the id of a campaign whose state changed
)

func campaignKey(campaign, part string) string { return "pregon:{" + campaign + "}:" + part }

func pageKey(campaign string, page int) string {
	return campaignKey(campaign, "page:"+strconv.Itoa(page))
}

// rowKeys are the nine keys that record.lua expects, in its order.
func rowKeys(campaign string, row int) []string {
	page := strconv.Itoa(PageOf(row))
	return []string{
		campaignKey(campaign, "control"),
		campaignKey(campaign, "rows:"+page),
		campaignKey(campaign, "counts"),
		campaignKey(campaign, "codes"),
		campaignKey(campaign, "sending"),
		campaignKey(campaign, "waiting"),
		campaignKey(campaign, "in_doubt"),
		campaignKey(campaign, "past:"+page),
		campaignKey(campaign, "reasons"),
	}
}

// WorkerName names a worker by who it is: six characters, the first j if it keeps a journal and w if not. lua/beat.lua
// and lua/expire.lua read it.
func WorkerName(identity string, journal bool) string {
	sum := sha256.Sum256([]byte(identity))
	if journal {
		return "j" + hex.EncodeToString(sum[:])[:5]
	}
	return "w" + hex.EncodeToString(sum[:])[:5]
}

// newNonce names one attempt to claim, by a worker. 40 random bits tell the attempts of one worker at one row apart.
func newNonce(worker string) string {
	var b [5]byte
	_, _ = rand.Read(b[:]) // never fails since Go 1.24
	if len(worker) != 6 || cleanCode(worker) != worker {
		worker = "------"
	}
	return worker + hex.EncodeToString(b[:])
}

// answer reads what a script returned: a word first, then what goes with it.
type answer []any

func words(v any, err error) (answer, error) {
	if err != nil {
		return nil, err
	}
	list, ok := v.([]any)
	if !ok || len(list) == 0 {
		return nil, fmt.Errorf("script answered %T: %w", v, ErrCorrupt)
	}
	return list, nil
}

func (a answer) text(i int) string {
	if i >= len(a) {
		return ""
	}
	s, _ := a[i].(string)
	return s
}

func (a answer) number(i int) int64 {
	if i >= len(a) {
		return 0
	}
	n, _ := a[i].(int64)
	return n
}

func milliseconds(ms int64) time.Time {
	if ms <= 0 {
		return time.Time{}
	}
	return time.UnixMilli(ms)
}

// millis is a moment as the score of a sorted set.
func millis(t time.Time) string { return strconv.FormatInt(t.UnixMilli(), 10) }

func seconds(text string) time.Time {
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil || n <= 0 {
		return time.Time{}
	}
	return time.Unix(n, 0)
}

// cleanWords makes a provider's words fit to be kept: one line of at most 120 runes.
func cleanWords(text string) string {
	const limit = 120
	text = strings.Join(strings.Fields(strings.ToValidUTF8(text, "")), " ")
	if runes := []rune(text); len(runes) > limit {
		text = string(runes[:limit])
	}
	return text
}

// cleanCode makes a provider's code fit for a record: the record's separator and anything unusual become "_".
func cleanCode(code string) string {
	const limit = 24
	code = strings.Map(func(r rune) rune {
		switch {
		case r >= '0' && r <= '9', r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r == '_', r == '-', r == '.':
			return r
		}
		return '_'
	}, code)
	return code[:min(len(code), limit)]
}
