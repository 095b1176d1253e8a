package workflow

import "context"

// TokenInputs are the inputs of rack token.
type TokenInputs struct {
	Connection
	Role  string `env:"role" envDefault:"read" accept:"read,write" usage:"what the token allows: to read, or to change things as well"`
	Hours int    `env:"hours" envDefault:"24" usage:"how long the token lasts, in hours"`
}

// Data tells that standard output is for the token alone.
func (TokenInputs) Data() bool { return true }

// Token returns a new token, which is sent as the password of the user jwt.
func Token(ctx context.Context, j Job, in TokenInputs) (string, error) {
	return j.Rack.CreateToken(ctx, in.Role, in.Hours)
}
