"""What picture files hold besides 8-bit sRGB values: color profiles, 16-bit samples, resolution, EXIF."""
