@echo off
rem Windows: sets the course up from this folder, without a network, and opens the lessons.
for %%v in (3.13 3.12 3.11 3.10) do (
    py -%%v "%~dp0start.py" --fits >nul 2>nul && (
        py -%%v "%~dp0start.py" %*
        goto end
    )
)
py "%~dp0start.py" %*
if errorlevel 9009 echo There is no Python on this computer. The file START-HERE.txt says which one to install.
:end
pause
