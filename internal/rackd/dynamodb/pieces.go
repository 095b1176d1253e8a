package dynamodb

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
)

const (
	// maxItem is how long the texts of one item may be with their names, in bytes:
	// the 400 KB of DynamoDB, less room for what others add.
	// https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Constraints.html
	maxItem = 350 << 10
	// maxPiece is how long one piece of a longer text is, in bytes.
	maxPiece = 300 << 10
	// maxPieces is how many a text can have: their names have that many digits.
	maxPieces = 9999
)

// stored is a record: its item as it is, and with its long texts in it. The zero
// value is none.
type stored struct{ item, whole texts }

func (s stored) exists() bool { return s.item != nil }

// load reads a record with its long texts.
func (s *Store) load(ctx context.Context, at place) (stored, error) {
	item, err := s.get(ctx, at)
	if err != nil || item == nil {
		return stored{}, err
	}
	for {
		whole, err := s.join(ctx, item)
		if err != nil || whole != nil {
			return stored{item, whole}, err
		}
		// Its texts were removed: it has been stored anew meanwhile, or removed.
		now, err := s.get(ctx, at)
		if err != nil || now == nil {
			return stored{}, err
		}
		if maps.Equal(now, item) {
			return stored{}, call{"Query", s.tables.Records, ""}.failed(ErrDamaged, fmt.Sprintf("pieces of a text of %s are missing", at))
		}
		item = now
	}
}

// String is for errors.
func (p place) String() string {
	if id, ok := p.key["id"]; ok {
		return strconv.Quote(id) + " in the table " + p.table
	}
	return strconv.Quote(p.key["part"]+" "+p.key["name"]) + " in the table " + p.table
}

// join gives an item with its long texts in the place of where they are, and nil if
// one is not all there.
func (s *Store) join(ctx context.Context, item texts) (texts, error) {
	whole := texts{}
	for name, value := range item {
		long, ok := strings.CutSuffix(name, piecesOf)
		if !ok {
			whole[name] = value
			continue
		}
		text, err := s.readPieces(ctx, value)
		if err != nil || text == "" {
			return nil, err
		}
		whole[long] = text
	}
	return whole, nil
}

// split takes texts out of a record, the longest first, until the rest fits into
// one item, and stores them in pieces. One that is in pieces already stays there.
// made says where the new ones are.
func (s *Store) split(ctx context.Context, was stored, whole texts) (item texts, made []string, err error) {
	item = maps.Clone(whole)
	for size(item) > maxItem {
		name := longest(item)
		if name == "" {
			break // for DynamoDB to refuse
		}
		at := was.item[name+piecesOf]
		if at == "" || was.whole[name] != item[name] {
			if at, err = s.writePieces(ctx, item[name]); err != nil {
				return nil, nil, err
			}
			made = append(made, at)
		}
		delete(item, name)
		item[name+piecesOf] = at
	}
	return item, made, nil
}

func size(t texts) (n int) {
	for name, value := range t {
		n += len(name) + len(value)
	}
	return n
}

// longest is the longest of the texts that can be elsewhere. Those that cannot are
// short.
func longest(t texts) (name string) {
	for _, n := range slices.Sorted(maps.Keys(t)) {
		if !slices.Contains(fixed, n) && !strings.HasSuffix(n, piecesOf) && (name == "" || len(t[n]) > len(t[name])) {
			name = n
		}
	}
	return name
}

// replace stores a record in the place of what was read, and tells whether that was
// still so.
func (s *Store) replace(ctx context.Context, at place, was stored, next texts) (bool, error) {
	item, made, err := s.split(ctx, was, next)
	if err != nil {
		return false, err
	}
	ok, err := s.write(ctx, at, was.item, item)
	switch {
	case err != nil: // it may have been stored all the same
		return false, err
	case !ok:
		return false, s.removePieces(ctx, made...)
	}
	old := slices.DeleteFunc(piecesIn(was.item), func(at string) bool { return slices.Contains(piecesIn(item), at) })
	s.removePieces(ctx, old...) // if they stay, nothing reads them; the record is stored
	return true, nil
}

// piecesIn says where the long texts of an item are.
func piecesIn(item texts) (all []string) {
	for name, value := range item {
		if strings.HasSuffix(name, piecesOf) {
			all = append(all, value)
		}
	}
	return all
}

// writePieces stores a text in pieces that are never changed, and says where and how
// many.
func (s *Store) writePieces(ctx context.Context, long string) (string, error) {
	part, n := random(), 0
	for piece := range slices.Chunk([]byte(long), maxPiece) {
		at := s.pieceAt(part, n)
		item := at.key.item()
		item["text"] = &types.AttributeValueMemberB{Value: piece}
		_, err := s.api.PutItem(ctx, &dynamodb.PutItemInput{TableName: &at.table, Item: item})
		if err != nil {
			return "", explain(ctx, err, call{"PutItem", at.table, ""})
		}
		n++
	}
	return part + "/" + strconv.Itoa(n), nil
}

// pieceAt is the place of a piece. Their names are in the order of the pieces.
func (s *Store) pieceAt(part string, n int) place {
	return s.at("pieces/"+part, fmt.Sprintf("%04d", n))
}

// cutPieces reads what writePieces returned; n is -1 for what it never returns.
func cutPieces(at string) (part string, n int) {
	part, number, _ := strings.Cut(at, "/")
	n, err := strconv.Atoi(number)
	if err != nil || n < 0 || n > maxPieces {
		return part, -1
	}
	return part, n
}

// readPieces reads a text that is in pieces, "" if they are not all there.
func (s *Store) readPieces(ctx context.Context, at string) (string, error) {
	part, want := cutPieces(at)
	var text strings.Builder
	n := 0
	err := s.query(ctx, s.inPart("pieces/"+part), func(item map[string]types.AttributeValue) error {
		if piece, ok := item["text"].(*types.AttributeValueMemberB); ok {
			text.Write(piece.Value)
			n++
		}
		return nil
	})
	if n != want {
		return "", err
	}
	return text.String(), err
}

// removePieces removes texts that are in pieces.
func (s *Store) removePieces(ctx context.Context, all ...string) error {
	for _, at := range all {
		part, n := cutPieces(at)
		for i := range n {
			if _, err := s.remove(ctx, s.pieceAt(part, i), nil); err != nil {
				return err
			}
		}
	}
	return nil
}

// inPart asks for all of a part of the third table as it is now.
func (s *Store) inPart(part string) *dynamodb.QueryInput {
	e := &expression{}
	e.equal(texts{"part": part})
	return &dynamodb.QueryInput{
		TableName: &s.tables.Records, ConsistentRead: aws.Bool(true), KeyConditionExpression: e.condition(),
		ExpressionAttributeNames: e.names, ExpressionAttributeValues: e.values,
	}
}

// query calls each with all items that are asked for, page by page.
func (s *Store) query(ctx context.Context, in *dynamodb.QueryInput, each func(map[string]types.AttributeValue) error) error {
	for pages := dynamodb.NewQueryPaginator(s.api, in); pages.HasMorePages(); {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return explain(ctx, err, queryCall(in))
		}
		for _, item := range page.Items {
			if err := each(item); err != nil {
				return err
			}
		}
	}
	return nil
}

func queryCall(in *dynamodb.QueryInput) call {
	return call{"Query", aws.ToString(in.TableName), aws.ToString(in.IndexName)}
}
