package ci

// What tests need to see from outside: the reference mask of the fuzz test
// looks for the same forms, and a delimiter can be made to collide.
var (
	Forms = forms
	Fence = fence
)

// MinSecret is the length from which a value is masked.
const MinSecret = minSecret
