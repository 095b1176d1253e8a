// Package dynamodb keeps the records of a rack in Amazon DynamoDB.
//
// Builds and releases are in the tables of a v2 Rack, with its attributes, and can
// be shared with one: either reads what the other wrote. What a v2 Rack has no
// attribute for is in further ones, which it ignores, and loses where it writes an
// item anew: process and repository of a build; env of a release, sealed, since a
// v2 Rack has environments elsewhere (see [Options]); change, a random mark of each
// write; dropped, of a build that is on its way into the trash; and a text that is
// too long for an item as NAME-pieces, which says where it is. A v2 Rack cannot have
// such texts at all, and takes them for empty.
//
// A third table, of which a v2 Rack knows nothing, has the rest by part and name:
//
//	apps          NAME                the record of an app, as JSON
//	rack          parameters          the parameters of the rack, as JSON
//	registries    SHA256 OF SERVER    the credentials of a registry, sealed
//	trash         APP/BUILD/DROP      a build that was dropped, with the attributes of a build
//	dropping      APP                 the drops that are under way, and how many there were
//	builds/APP    STARTED/BUILD       that there is a build, for lists
//	releases/APP  CREATED/RELEASE     that there is a release, for lists, with its build
//	pieces/PLACE  NUMBER              a part of a text that is too long for an item
//
// The index that a v2 Rack lists by shows a write some time later. So each record is
// written down in the third table before it is stored, and a list is made of both,
// with every record read as it is now: what this package stored is in it at once,
// and what a v2 Rack stored is as soon as it would be there.
//
// All writes are single ones. A record is swapped under the condition that each of
// its attributes is still the one that was read, so that no other writer is
// overlooked, whatever it leaves out. What takes several writes is written so that
// one of them decides and the others can be done again by anyone; see [Store.DropBuild].
// What a killed process leaves behind beside that is never read: entries for lists
// without a record, and pieces of texts.
package dynamodb

import (
	"context"
	"errors"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"

	"github.com/convox-ci/convox-ci/internal/rackd"
	"github.com/convox-ci/convox-ci/internal/rackd/vault"
)

// Tables are the names of the tables. Builds and Releases may be those of a v2 Rack,
// which tells its own as the outputs DynamoBuilds and DynamoReleases of its stack.
type Tables struct {
	Builds   string
	Releases string
	Records  string // of all else
}

// TablesOf gives the names that belong to a rack: what a v2 Rack calls its own, and
// one beside them.
func TablesOf(rack string) Tables {
	return Tables{Builds: rack + "-builds", Releases: rack + "-releases", Records: rack + "-records"}
}

// Sealer keeps environments and passwords secret. A [vault.Key] is one.
type Sealer interface {
	// Seal seals a text. about is what the text belongs to; a sealer that can
	// makes sure that it cannot be opened as if it belonged to anything else.
	Seal(ctx context.Context, text, about string) (*vault.Envelope, error)
	// Open opens what Seal has sealed.
	Open(ctx context.Context, e *vault.Envelope, about string) (string, error)
}

// Options are what a [Store] is made of.
type Options struct {
	// Config has the region and the credentials, and where to ask if it is not AWS.
	Config aws.Config
	Tables Tables
	Seal   Sealer
	// Environments are the objects among which a v2 Rack keeps the environments of
	// releases, sealed as Seal does it; nil for a rack that shares its tables with
	// none. What a v2 Rack wrote is read there, and what this one adds is there for
	// it to read.
	Environments rackd.Objects
}

// attempts is how often a call is made before it fails: more than the SDK makes by
// itself, since a table that is paid by the request takes minutes to allow twice of
// what it was ever asked for.
// https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/on-demand-capacity-mode.html
const attempts = 10

// Store is the records of one rack. Several processes may use them at once.
type Store struct {
	api          *dynamodb.Client
	tables       Tables
	vault        Sealer
	environments rackd.Objects
}

// Open makes sure that the tables are there and what they have to be; see [Init].
// Nothing has to be closed.
func Open(ctx context.Context, o Options) (*Store, error) {
	s := &Store{api: newAPI(o.Config), tables: o.Tables, vault: o.Seal, environments: o.Environments}
	for _, table := range o.Tables.all() {
		there, err := table.describe(ctx, s.api)
		if err != nil {
			return nil, err
		}
		if err := table.check(there); err != nil {
			return nil, err
		}
	}
	return s, nil
}

func newAPI(config aws.Config) *dynamodb.Client {
	return dynamodb.NewFromConfig(config, func(o *dynamodb.Options) {
		if config.RetryMaxAttempts == 0 {
			o.RetryMaxAttempts = attempts
		}
	})
}

// Init makes the tables that are missing and waits until they can be used. It
// refuses a table that is there and has other keys, and changes none.
func Init(ctx context.Context, config aws.Config, tables Tables) error {
	api := newAPI(config)
	var made []table
	for _, table := range tables.all() { // all are looked at before any is made
		there, err := table.describe(ctx, api)
		switch {
		case errors.Is(err, ErrNoTable):
			made = append(made, table)
		case err != nil:
			return err
		default:
			if err := table.check(there); err != nil {
				return err
			}
		}
	}
	for _, table := range made {
		if err := table.create(ctx, api); err != nil {
			return err
		}
	}
	for _, table := range tables.all() {
		if err := table.wait(ctx, api); err != nil {
			return err
		}
	}
	return nil
}

// Stores are all that a rack needs but Objects, each of them this one.
func (s *Store) Stores() rackd.Stores {
	return rackd.Stores{Apps: s, Builds: s, Releases: s, Trash: s, Parameters: s, Registries: s}
}
