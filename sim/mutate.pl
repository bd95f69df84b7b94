# mutate.pl MUTANTS NAME <source >mutant: puts the lines that begin with + for those that begin with -
use strict;
use warnings;
my ($list, $name) = @ARGV;
my ($from, $to, $is_it) = ('', '', 0);
open my $in, '<', $list or die $!;
while (<$in>) {
    $is_it = $1 eq $name if /^==\s*([^|]*\S)\s*\|/;
    next unless $is_it;
    $from .= $1 if /^-(.*\n)/;
    $to .= $1 if /^\+(.*\n)/;
}
local $/;
my $text = <STDIN>;
my $count = () = $text =~ /\Q$from\E/g;
exit 1 unless length $from && $count == 1;
$text =~ s/\Q$from\E/$to/;
print $text;
