package dynamodb

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/convox-ci/convox-ci/internal/rack"
	"github.com/convox-ci/convox-ci/internal/rackd"
)

var (
	_ rackd.Apps       = (*Store)(nil)
	_ rackd.Parameters = (*Store)(nil)
)

// appsPart has the apps, by name. DynamoDB keeps names in order.
const appsPart = "apps"

// App implements [rackd.Apps].
func (s *Store) App(ctx context.Context, name string) (app rack.App, err error) {
	record, err := s.load(ctx, s.at(appsPart, name))
	if err != nil {
		return app, err
	}
	if !record.exists() {
		return app, rack.ErrNotFound
	}
	return document[rack.App](s, record)
}

// ListApps implements [rackd.Apps].
func (s *Store) ListApps(ctx context.Context) (apps []rack.App, err error) {
	err = s.each(ctx, appsPart, func(record stored) error {
		app, err := document[rack.App](s, record)
		apps = append(apps, app)
		return err
	})
	return apps, err
}

// SwapApp implements [rackd.Apps].
func (s *Store) SwapApp(ctx context.Context, old, next rack.App) error {
	return swapDocument(ctx, s, s.at(appsPart, next.Name), change[rack.App]{old, next, old.Name == ""})
}

// RemoveApp implements [rackd.Apps].
func (s *Store) RemoveApp(ctx context.Context, name string) error {
	was, err := s.remove(ctx, s.at(appsPart, name), nil)
	if err != nil {
		return err
	}
	return s.removePieces(ctx, piecesIn(was)...)
}

// Parameters implements [rackd.Parameters].
func (s *Store) Parameters(ctx context.Context) (map[string]string, error) {
	record, err := s.load(ctx, s.parametersAt())
	if err != nil || !record.exists() {
		return nil, err
	}
	return document[map[string]string](s, record)
}

// SwapParameters implements [rackd.Parameters].
func (s *Store) SwapParameters(ctx context.Context, old, next map[string]string) error {
	return swapDocument(ctx, s, s.parametersAt(), change[map[string]string]{old, next, len(old) == 0})
}

func (s *Store) parametersAt() place { return s.at("rack", "parameters") }

// document reads what is stored as JSON. Other versions of this program may have
// stored more, or less.
func document[T any](s *Store, r stored) (value T, err error) {
	if err := json.Unmarshal([]byte(r.whole["record"]), &value); err != nil {
		at := s.at(r.item["part"], r.item["name"])
		return value, call{"GetItem", at.table, ""}.failed(ErrDamaged, fmt.Sprintf("the record of %s: %v", at, err))
	}
	return value, nil
}

// change is one compare-and-swap.
type change[T any] struct {
	old, next T
	isNew     bool // nothing may be stored yet
}

// swapDocument makes a change of what is stored as JSON, or returns a conflict.
func swapDocument[T any](ctx context.Context, s *Store, at place, c change[T]) error {
	next, err := json.Marshal(c.next)
	if err != nil {
		return err
	}
	old, err := json.Marshal(c.old)
	if err != nil {
		return err
	}
	for {
		was, err := s.load(ctx, at)
		if err != nil {
			return err
		}
		if was.exists() == c.isNew {
			return rack.ErrConflict
		}
		if was.exists() {
			value, err := document[T](s, was)
			if err != nil {
				return err
			}
			if now, err := json.Marshal(value); err != nil || !bytes.Equal(now, old) {
				return conflictUnless(err)
			}
		}
		if ok, err := s.replace(ctx, at, was, texts{"record": string(next)}); err != nil || ok {
			return err
		} // else look again: what has changed may mean the same
	}
}

func conflictUnless(err error) error {
	if err != nil {
		return err
	}
	return rack.ErrConflict
}

// each reads the records of a part in the order of their names.
func (s *Store) each(ctx context.Context, part string, found func(stored) error) error {
	c := call{"Query", s.tables.Records, ""}
	return s.query(ctx, s.inPart(part), func(item map[string]types.AttributeValue) error {
		t, err := textsOf(item, c)
		if err != nil {
			return err
		}
		record := stored{t, t}
		if len(piecesIn(t)) > 0 {
			if record, err = s.load(ctx, s.at(part, t["name"])); err != nil || !record.exists() {
				return err
			}
		}
		return found(record)
	})
}
