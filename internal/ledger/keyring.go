package ledger

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"errors"
	"fmt"
	"strconv"
	"sync"

	"github.com/redis/go-redis/v9"
)

// KeySize is the length of a master key in bytes.
const KeySize = 32

// keyring seals pages with a key per campaign, and wraps those keys with the master key. Destroying a campaign's
// wrapped key makes its people unreadable everywhere its pages were copied to.
type keyring struct {
	master cipher.AEAD

	mu    sync.Mutex
	boxes map[string]cipher.AEAD
}

func newKeyring(master []byte) (*keyring, error) {
	if len(master) != KeySize {
		return nil, fmt.Errorf("master key has %d bytes, want %d", len(master), KeySize)
	}
	box, err := newBox(master)
	if err != nil {
		return nil, err
	}
	return &keyring{master: box, boxes: make(map[string]cipher.AEAD)}, nil
}

func newBox(key []byte) (cipher.AEAD, error) {
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, fmt.Errorf("make cipher: %w", err)
	}
	box, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		return nil, fmt.Errorf("make cipher: %w", err)
	}
	return box, nil
}

// create makes a campaign's key unless it has one. Two callers agree: the first one's key stays.
func (k *keyring) create(ctx context.Context, rdb redis.UniversalClient, campaign string) (cipher.AEAD, error) {
	k.drop(campaign) // Redis may have forgotten it
	key := make([]byte, KeySize)
	_, _ = rand.Read(key) // never fails since Go 1.24
	wrapped := k.master.Seal(nil, nil, key, []byte("pregon:key:"+campaign))
	if err := rdb.SetNX(ctx, campaignKey(campaign, "key"), wrapped, 0).Err(); err != nil {
		return nil, fmt.Errorf("store key of campaign %s: %w", campaign, err)
	}
	return k.box(ctx, rdb, campaign)
}

// drop makes the next caller read a campaign's key again: a launch that Redis forgot and that is made again has
// another.
func (k *keyring) drop(campaign string) {
	k.mu.Lock()
	delete(k.boxes, campaign)
	k.mu.Unlock()
}

func (k *keyring) box(ctx context.Context, rdb redis.UniversalClient, campaign string) (cipher.AEAD, error) {
	k.mu.Lock()
	box := k.boxes[campaign]
	k.mu.Unlock()
	if box != nil {
		return box, nil
	}
	wrapped, err := rdb.Get(ctx, campaignKey(campaign, "key")).Bytes()
	if errors.Is(err, redis.Nil) {
		return nil, fmt.Errorf("key of campaign %s is gone (forgotten): %w", campaign, ErrNoCampaign)
	}
	if err != nil {
		return nil, fmt.Errorf("read key of campaign %s: %w", campaign, err)
	}
	key, err := k.master.Open(nil, nil, wrapped, []byte("pregon:key:"+campaign))
	if err != nil {
		return nil, fmt.Errorf("unwrap key of campaign %s: %w", campaign, ErrMasterKey)
	}
	box, err = newBox(key)
	if err != nil {
		return nil, err
	}
	k.mu.Lock()
	k.boxes[campaign] = box
	k.mu.Unlock()
	return box, nil
}

// Verify makes sure that this process has the master key of all others that use this Redis: the first one leaves a
// sealed word there. ErrMasterKey is better said before a launch than when no worker can read its pages.
func (l *Ledger) Verify(ctx context.Context) error {
	const key, word = "pregon:master-key", "pregon"
	sealed, err := l.rdb.Get(ctx, key).Bytes()
	if errors.Is(err, redis.Nil) {
		sealed = l.keys.master.Seal(nil, nil, []byte(word), []byte(key))
		if err = l.rdb.SetNX(ctx, key, sealed, 0).Err(); err == nil {
			sealed, err = l.rdb.Get(ctx, key).Bytes() // another program may have been first
		}
	}
	if err != nil {
		return fmt.Errorf("verify master key: %w", err)
	}
	if _, err := l.keys.master.Open(nil, nil, sealed, []byte(key)); err != nil {
		return fmt.Errorf("verify master key: %w", ErrMasterKey)
	}
	return nil
}

// pageName binds a sealed page to its place, so that no page can stand in for another.
func pageName(campaign string, page int) []byte {
	return []byte("pregon:page:" + campaign + ":" + strconv.Itoa(page))
}
