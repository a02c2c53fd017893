"""What the chapters use: style and pictures, exercises, live figures."""
