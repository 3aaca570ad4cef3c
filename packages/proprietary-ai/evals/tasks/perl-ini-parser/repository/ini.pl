use strict;
use warnings;

my ($file, $wanted) = @ARGV;
my ($section, %values) = ("");
open(my $in, "<", $file) or die "$file: $!\n";
while (my $line = <$in>) {
    chomp $line;
    if ($line =~ /^\[(.*)\]/) { $section = "$1."; next }
    my ($key, $value) = split /=/, $line;
    $values{$section . $key} = $value if defined $value;
}
print "$values{$wanted}\n";
