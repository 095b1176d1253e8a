package dynamodb

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"slices"

	"github.com/convox-ci/convox-ci/internal/rack"
	"github.com/convox-ci/convox-ci/internal/rackd"
	"github.com/convox-ci/convox-ci/internal/rackd/vault"
)

var _ rackd.Registries = (*Store)(nil)

// registriesPart has the credentials of registries, by the hash of the server. All
// of them is sealed, as a v2 Rack has it among its objects.
const registriesPart = "registries"

func (s *Store) registryAt(server string) place {
	sum := sha256.Sum256([]byte(server))
	return s.at(registriesPart, hex.EncodeToString(sum[:]))
}

// registrySeal is what credentials are sealed for: who can write to the table must
// not be able to pass them off as those of another server.
func registrySeal(at place) string { return "registry " + at.key["name"] }

// sealText seals a text, to be stored.
func (s *Store) sealText(ctx context.Context, text, about string) (string, error) {
	e, err := s.vault.Seal(ctx, text, about)
	if err != nil {
		return "", err
	}
	data, err := json.Marshal(e)
	return string(data), err
}

// openText opens what sealText has sealed. sealed is false for what is no envelope.
func (s *Store) openText(ctx context.Context, data, about string) (text string, sealed bool, err error) {
	var e vault.Envelope
	if err := json.Unmarshal([]byte(data), &e); err != nil || len(e.Text) == 0 || len(e.Key) == 0 {
		return "", false, nil
	}
	text, err = s.vault.Open(ctx, &e, about)
	return text, true, err
}

// ListRegistries implements [rackd.Registries].
func (s *Store) ListRegistries(ctx context.Context) (all []rack.Registry, err error) {
	err = s.each(ctx, registriesPart, func(record stored) error {
		at := s.at(registriesPart, record.item["name"])
		data, sealed, err := s.openText(ctx, record.whole["sealed"], registrySeal(at))
		if err != nil {
			return err
		}
		var r rack.Registry
		if err := json.Unmarshal([]byte(data), &r); !sealed || err != nil {
			return call{"Query", at.table, ""}.failed(ErrDamaged, at.String()+" has no sealed credentials")
		}
		all = append(all, r)
		return nil
	})
	slices.SortFunc(all, func(a, b rack.Registry) int { return cmp.Compare(a.Server, b.Server) })
	return all, err
}

// PutRegistry implements [rackd.Registries].
func (s *Store) PutRegistry(ctx context.Context, r rack.Registry) error {
	data, err := json.Marshal(r)
	if err != nil {
		return err
	}
	at := s.registryAt(r.Server)
	sealed, err := s.sealText(ctx, string(data), registrySeal(at))
	if err != nil {
		return err
	}
	for { // what is replaced may have long texts of its own
		was, err := s.load(ctx, at)
		if err != nil {
			return err
		}
		if ok, err := s.replace(ctx, at, was, texts{"sealed": sealed}); err != nil || ok {
			return err
		}
	}
}

// RemoveRegistry implements [rackd.Registries].
func (s *Store) RemoveRegistry(ctx context.Context, server string) error {
	was, err := s.remove(ctx, s.registryAt(server), nil)
	if err != nil {
		return err
	}
	if was == nil {
		return rack.ErrNotFound
	}
	return s.removePieces(ctx, piecesIn(was)...)
}
